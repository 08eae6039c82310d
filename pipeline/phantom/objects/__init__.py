"""What people upload that is no brain at all: the far end of the class `other`."""

import dataclasses
from typing import Final

import numpy as np

from mri_contrast.scans import Scan
from pipeline.phantom import acquisition, protocols
from pipeline.phantom.objects import bodies, bottles, noise, photographs, spine
from pipeline.phantom.objects.canvas import Maker


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of thing.

    Attributes:
        share: Relative to the other kinds.
        make: Draws one.
        received: Probability that coil, noise and gamma are put on it.
    """

    share: float
    make: Maker
    received: float = 1.0


_KINDS: Final[dict[str, _Kind]] = {
    "bottle": _Kind(0.13, bottles.bottle),
    "resolution": _Kind(0.06, bottles.resolution),
    "fruit": _Kind(0.06, bottles.fruit),
    "body": _Kind(0.19, bodies.trunk),
    "limb": _Kind(0.12, bodies.limb),
    "radiograph": _Kind(0.05, bodies.tomography, 0.0),
    "spine": _Kind(0.1, spine.spine),
    "neck": _Kind(0.05, spine.neck),
    "noise": _Kind(0.05, noise.noise, 0.3),
    "blank": _Kind(0.03, noise.blank, 0.5),
    "texture": _Kind(0.04, noise.texture, 0.3),
    "photograph": _Kind(0.07, photographs.photograph, 0.2),
    "document": _Kind(0.03, photographs.document, 0.2),
    "screenshot": _Kind(0.02, photographs.screenshot, 0.1),
}


def sample_kind(rng: np.random.Generator) -> str:
    """Draws what kind of thing it is: the first draw of `sample_object`."""
    shares = np.array([kind.share for kind in _KINDS.values()])
    return str(rng.choice(list(_KINDS), p=shares / shares.sum()))


def sample_object(rng: np.random.Generator) -> Scan:
    """Draws a scan of a thing that is no brain.

    Args:
        rng: Where the draw comes from; the same state gives the same scan.
    """
    kind = _KINDS[sample_kind(rng)]
    image, spacing = kind.make(rng)
    contrast = str(rng.choice(["T1", "T2", "FLAIR", "other"]))
    protocol = protocols.sample_protocol(contrast, rng)
    taken = acquisition.sample_acquisition(protocol, 1.5, rng)
    # The slices of a thing lie along its last axis, whatever the protocol's do.
    taken = dataclasses.replace(taken, axis=2)
    image = (image / max(float(np.abs(image).max()), 1e-6)).astype(np.float32)
    if rng.random() < kind.received:
        image = acquisition.receive(image, taken)
    return acquisition.store(image, spacing, taken)
