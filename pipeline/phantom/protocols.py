"""Draws a protocol of a contrast: sequence, timing, geometry, and its signal.

Ranges are those of clinical protocols; shares follow public collections. T1-FLAIR
and post-contrast T1 are T1.
"""

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom import physics
from pipeline.phantom.physics import TissueValues


@dataclasses.dataclass(frozen=True, slots=True)
class Protocol:
    """One way of making an image.

    Attributes:
        family: What the sequence is called, for example `T1/mprage`.
        contrast: The class it belongs to.
        signal: Signed signal of each of `physics.TISSUES`, grey matter 1. Tissues of
            opposite sign cancel where they share a voxel.
        volumetric: Isotropic 3-D voxels rather than thick slices.
        gadolinium: After contrast agent.
        three_tesla: At 3 T instead of 1.5 T.
        blur_mm: Loss of sharpness (full width at half maximum) by the sequence.
    """

    family: str
    contrast: str
    signal: NDArray[np.float32]
    volumetric: bool
    gadolinium: bool = False
    three_tesla: bool = False
    blur_mm: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Draw:
    """What a family's function gets to make its signal from."""

    rng: np.random.Generator
    tissues: TissueValues
    three_tesla: bool

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def flowing(
        self, signal: NDArray[np.float64], low: float, high: float
    ) -> NDArray[np.float64]:
        """Blood leaves a spin echo's slice unrefocused, and enters others fresh."""
        signal[physics.BLOOD] *= self.uniform(low, high)
        return signal


_Signal = Callable[[_Draw], NDArray[np.float64]]


def _t1_spin_echo(draw: _Draw) -> NDArray[np.float64]:
    longest = 900 if draw.three_tesla else 750
    tr, te = draw.uniform(350, longest), draw.uniform(8, 20)
    return draw.flowing(physics.spin_echo(draw.tissues, tr=tr, te=te), 0.1, 1.0)


def _t1_mprage(draw: _Draw) -> NDArray[np.float64]:
    if draw.rng.random() < 0.3:  # the other makers' shorter preparation
        ti, tr = draw.uniform(400, 650), draw.uniform(1100, 1900)
    else:
        ti, tr = draw.uniform(800, 1150), draw.uniform(1600, 2600)
    te = draw.uniform(2, 5)
    signal = physics.magnetisation_prepared(draw.tissues, tr=tr, te=te, ti=ti)
    return draw.flowing(signal, 0.5, 1.5)


def _t1_spoiled(draw: _Draw) -> NDArray[np.float64]:
    if draw.rng.random() < 0.3:  # 2-D FLASH
        tr, te, angle = (
            draw.uniform(150, 350), draw.uniform(2.5, 8), draw.uniform(55, 80),
        )  # fmt: skip
    else:
        tr, te, angle = (
            draw.uniform(7, 30), draw.uniform(2, 10), draw.uniform(14, 35),
        )  # fmt: skip
    signal = physics.spoiled_gradient_echo(draw.tissues, tr=tr, te=te, angle=angle)
    return draw.flowing(signal, 0.7, 2.0)


def _t1_flair(draw: _Draw) -> NDArray[np.float64]:
    tr, te = draw.uniform(1800, 2800), draw.uniform(8, 30)
    ti = min(physics.fluid_null(draw.tissues, tr) * draw.uniform(0.85, 1.05), 1100)
    signal = physics.inversion_recovery(draw.tissues, tr=tr, te=te, ti=ti)
    return draw.flowing(signal, 0.0, 0.6)


def _t1_true_inversion(draw: _Draw) -> NDArray[np.float64]:
    """Turbo inversion recovery with white and grey matter far apart."""
    tr, te, ti = draw.uniform(2800, 5000), draw.uniform(10, 20), draw.uniform(330, 420)
    signal = physics.inversion_recovery(draw.tissues, tr=tr, te=te, ti=ti)
    # Shown with its sign, the lowest value black.
    return draw.flowing(signal - signal.min(), 0.0, 0.6)


def _t2_echo(draw: _Draw, shortest: float, longest: float) -> NDArray[np.float64]:
    tr, te = draw.uniform(2500, 7500), draw.uniform(shortest, longest)
    signal = physics.spin_echo(draw.tissues, tr=tr, te=te)
    return draw.flowing(signal, 0.0, 0.5)


def _t2_spin_echo(draw: _Draw) -> NDArray[np.float64]:
    return _t2_echo(draw, 78, 130)


def _t2_late_echo(draw: _Draw) -> NDArray[np.float64]:
    return _t2_echo(draw, 140, 190)


def _flair(draw: _Draw, shortest: float, longest: float) -> NDArray[np.float64]:
    tr = draw.uniform(shortest, longest)
    ti = physics.fluid_null(draw.tissues, tr) * draw.uniform(0.95, 1.05)
    te = draw.uniform(85, 150)
    signal = physics.inversion_recovery(draw.tissues, tr=tr, te=te, ti=ti)
    # Magnetisation transfer of the many refocusing pulses darkens white matter.
    signal[physics.WHITE] *= draw.uniform(0.88, 1.0)
    return draw.flowing(signal, 0.0, 0.5)


def _flair_slices(draw: _Draw) -> NDArray[np.float64]:
    return _flair(draw, 6000, 11000)


def _flair_volume(draw: _Draw) -> NDArray[np.float64]:
    return _flair(draw, 4800, 8000)


def _flair_hurried(draw: _Draw) -> NDArray[np.float64]:
    return _flair(draw, 3800, 4700)


def _density(draw: _Draw) -> NDArray[np.float64]:
    tr, te = draw.uniform(2000, 5000), draw.uniform(8, 35)
    return physics.spin_echo(draw.tissues, tr=tr, te=te)


def _t2_star(draw: _Draw) -> NDArray[np.float64]:
    tr, te, angle = (
        draw.uniform(400, 900), draw.uniform(15, 35), draw.uniform(10, 25),
    )  # fmt: skip
    return physics.spoiled_gradient_echo(draw.tissues, tr=tr, te=te, angle=angle)


def _diffusion(draw: _Draw) -> NDArray[np.float64]:
    weighting = draw.rng.choice([0.0, 0.5, 1.0, 1.0, 2.0])  # b in ms/µm²
    signal = physics.spin_echo(
        draw.tissues, tr=draw.uniform(3500, 9000), te=draw.uniform(60, 110)
    )
    signal *= np.exp(-weighting * draw.tissues.diffusivity)
    signal[physics.FAT] *= draw.uniform(0, 0.15)  # saturated, as echo-planar needs
    return signal


def _diffusivity(draw: _Draw) -> NDArray[np.float64]:
    signal = draw.tissues.diffusivity.copy()
    signal[[physics.FAT, physics.BONE, physics.NOTHING]] = draw.uniform(0, 0.5)
    return signal


def _short_inversion(draw: _Draw) -> NDArray[np.float64]:
    return physics.inversion_recovery(
        draw.tissues, tr=draw.uniform(3000, 6000), te=draw.uniform(15, 80),
        ti=float(draw.tissues.t1[physics.FAT]) * np.log(2),
    )  # fmt: skip


def _inverted(draw: _Draw) -> NDArray[np.float64]:
    make = _NORMAL[draw.rng.integers(len(_NORMAL))]
    signal = np.abs(make(draw))
    return np.asarray(np.quantile(signal, 0.9) * 1.05 - signal).clip(0)


def _computed_tomography(draw: _Draw) -> NDArray[np.float64]:
    signal = np.full(len(physics.TISSUES), draw.uniform(0.45, 0.6))
    signal[physics.GREY] += draw.uniform(0.0, 0.03)
    signal[[physics.FLUID, physics.EYE]] -= draw.uniform(0.02, 0.06)
    signal[physics.FAT] -= draw.uniform(0.08, 0.2)
    signal[physics.BONE] = draw.uniform(1, 2.5)
    signal[physics.NOTHING] = 0
    return signal


def _emission(draw: _Draw) -> NDArray[np.float64]:
    signal = np.full(len(physics.TISSUES), draw.uniform(0.05, 0.3))
    signal[physics.GREY] = 1
    signal[physics.WHITE] = draw.uniform(0.2, 0.6)
    signal[[physics.FLUID, physics.NOTHING, physics.BONE]] = draw.uniform(0, 0.1)
    return signal


_NORMAL: Final = (_t1_spin_echo, _t1_mprage, _t2_spin_echo, _flair_slices)


@dataclasses.dataclass(frozen=True, slots=True)
class _Family:
    """How often a sequence is drawn within its class and what it looks like."""

    share: float
    signal: _Signal
    volumetric: float  # probability of isotropic voxels
    gadolinium: float = 0.0  # probability of contrast agent
    fat_saturation: float = 0.0  # probability of suppressed fat
    blur_mm: tuple[float, float] = (0.0, 0.8)


_FAMILIES: Final[dict[str, dict[str, _Family]]] = {
    "T1": {
        "spin-echo": _Family(0.30, _t1_spin_echo, 0.05, 0.4, 0.15),
        "mprage": _Family(0.40, _t1_mprage, 0.95, 0.2, 0.1),
        "spoiled": _Family(0.17, _t1_spoiled, 0.7, 0.3),
        "t1-flair": _Family(0.13, _t1_flair, 0.0, 0.3),
    },
    "T2": {
        "slices": _Family(0.7, _t2_spin_echo, 0.0, 0.0, 0.1),
        "volume": _Family(0.3, _t2_spin_echo, 1.0, 0.0, 0.1),
    },
    "FLAIR": {
        "slices": _Family(0.6, _flair_slices, 0.0, 0.0, 0.4),
        "volume": _Family(0.4, _flair_volume, 1.0, 0.0, 0.4, blur_mm=(0.3, 1.2)),
    },
    "other": {
        "density": _Family(0.30, _density, 0.1, 0.0, 0.25),
        "t2-star": _Family(0.14, _t2_star, 0.1),
        "diffusion": _Family(0.2, _diffusion, 0.0, blur_mm=(2.5, 4.5)),
        "diffusivity": _Family(0.1, _diffusivity, 0.0, blur_mm=(2.5, 4.5)),
        "stir": _Family(0.04, _short_inversion, 0.0),
        "inverted": _Family(0.08, _inverted, 0.4),
        "ct": _Family(0.06, _computed_tomography, 0.4),
        "emission": _Family(0.08, _emission, 0.7, blur_mm=(3.0, 7.0)),
    },
}


_SEALED: Final[dict[str, dict[str, _Family]]] = {
    "T1": {"true-inversion": _Family(1.0, _t1_true_inversion, 0.0, 0.3)},
    "T2": {"late-echo": _Family(1.0, _t2_late_echo, 0.3, 0.0, 0.1)},
    "FLAIR": {"hurried": _Family(1.0, _flair_hurried, 0.5, 0.0, 0.4)},
}
"""Families that no training sees: what sealed tests are made of."""


def sample_protocol(
    contrast: str, rng: np.random.Generator, *, sealed: bool = False
) -> Protocol:
    """Draws a protocol of a class.

    Args:
        contrast: One of `pipeline.contrasts.CLASSES`.
        rng: Where the draw comes from; the same state gives the same protocol.
        sealed: From the families that no training sees.

    Returns:
        A protocol whose grey matter has signal 1, where it has any.
    """
    families = (_SEALED if sealed else _FAMILIES)[contrast]
    shares = np.array([family.share for family in families.values()])
    name = str(rng.choice(list(families), p=shares / shares.sum()))
    family = families[name]
    gadolinium = bool(rng.random() < family.gadolinium)
    three_tesla = bool(rng.random() < 0.5)
    for _ in range(_TRIES):
        signal = _sample_signal(family, rng, three_tesla, gadolinium=gadolinium)
        if _plausible(contrast, signal):
            break
    reference = signal[physics.GREY] or np.abs(signal).max()
    return Protocol(
        family=f"{contrast}/{name}",
        contrast=contrast,
        signal=(signal / reference).astype(np.float32),
        volumetric=bool(rng.random() < family.volumetric),
        gadolinium=gadolinium,
        three_tesla=three_tesla,
        blur_mm=float(rng.uniform(*family.blur_mm)),
    )


_TRIES: Final = 20
"""A draw is repeated until it shows its contrast; at most 3 in 10 do not."""


def _sample_signal(
    family: _Family, rng: np.random.Generator, three_tesla: bool, *, gadolinium: bool
) -> NDArray[np.float64]:
    tissues = physics.sample_tissues(rng, three_tesla=three_tesla)
    if gadolinium:
        tissues = physics.with_gadolinium(tissues, rng)
    signal = family.signal(_Draw(rng, tissues, three_tesla))
    if rng.random() < family.fat_saturation:
        signal[physics.FAT] *= rng.uniform(0.03, 0.4)
    return signal


def _plausible(contrast: str, signal: NDArray[np.float64]) -> bool:
    """Whether a technician would pass the image as this contrast."""
    white, grey, fluid = np.abs(signal[[physics.WHITE, physics.GREY, physics.FLUID]])
    match contrast:
        case "T1":
            return bool(white > 1.03 * grey and fluid < 0.8 * grey)
        case "T2":
            return bool(fluid > 1.6 * grey and white < 0.97 * grey)
        case "FLAIR":
            return bool(white < 0.97 * grey and fluid < 0.4 * grey)
    return True
