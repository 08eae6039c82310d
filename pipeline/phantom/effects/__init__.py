"""What happens to a head's image beyond its tissues' signals: by name.

    image = apply_effect(image, protocol.effect, rng)

Bent and coarse echo-planar images, vessels, wrapped phase, label maps, cropped and
destroyed images. Everything follows from the image, the name and the generator.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from pipeline.phantom.effects import computed, damage, echo_planar, radiology, vessels
from pipeline.phantom.fields import Volume

_Effect = Callable[[Volume, np.random.Generator], Volume]

COMPUTED: Final[dict[str, _Effect]] = {
    "labels": computed.labels,
    "parcels": computed.parcels,
    "mask": computed.mask,
    "probability": computed.probability,
    "difference": computed.difference,
    "activation": computed.activation,
    "tomography": radiology.tomography,
}
"""Made by a program: no coil, no thick slices and no noise touches them afterwards."""

WHOLE_HEAD: Final = frozenset({"tomography", "airless"})
"""Nobody strips these: a CT is told by its skull, noise all around hides the head."""

EFFECTS: Final[dict[str, _Effect]] = {
    "echo-planar": echo_planar.echo_planar,
    "trace": echo_planar.trace,
    "diffusivity": echo_planar.diffusivity,
    "anisotropy": echo_planar.anisotropy,
    "perfusion": echo_planar.perfusion,
    "dropout": echo_planar.dropout,
    "veins": vessels.veins,
    "angiography": vessels.angiography,
    "projection": vessels.projection,
    "phase": vessels.phase,
    "quantitative": computed.quantitative,
    "airless": computed.airless,
    "emission": radiology.emission,
    "inverted": damage.inverted,
    "motion": damage.motion,
    "tiny": damage.tiny,
    **COMPUTED,
}


def apply_effect(image: Volume, name: str, rng: np.random.Generator) -> Volume:
    """Applies an effect.

    Args:
        image: (i, j, k) float32, signed, axes left-right, back-front, down-up; grey
            matter has the magnitude 1, air 0.
        name: One of `EFFECTS`, or `""` for none.
        rng: Where its parameters come from.

    Returns:
        (i, j, k) float32, perhaps of another shape.

    Raises:
        ValueError: There is no such effect.
    """
    if not name:
        return image
    if name not in EFFECTS:
        raise ValueError(f"no effect is called {name!r}; there are {sorted(EFFECTS)}")
    return np.asarray(EFFECTS[name](image, rng), np.float32)
