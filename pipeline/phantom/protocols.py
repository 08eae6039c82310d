"""Draws a protocol of a contrast: sequence, timing, geometry, and its signal.

Ranges are those of clinical protocols; shares follow public collections. T1-FLAIR
and post-contrast T1 are T1.
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom import physics
from pipeline.phantom.families import Draw, Family
from pipeline.phantom.other_protocols import OTHER_FAMILIES


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
        fat_gain: How many times brighter fat is than its tissue values make it.
        blur_mm: Loss of sharpness (full width at half maximum) by the sequence.
        effect: What else happens to the image, by its name in `effects`.
    """

    family: str
    contrast: str
    signal: NDArray[np.float32]
    volumetric: bool
    gadolinium: bool = False
    three_tesla: bool = False
    fat_gain: float = 1.0
    blur_mm: float = 0.0
    effect: str = ""


def _t1_spin_echo(draw: Draw) -> NDArray[np.float64]:
    longest = 900 if draw.three_tesla else 750
    tr, te = draw.uniform(350, longest), draw.uniform(8, 20)
    return draw.flowing(physics.spin_echo(draw.tissues, tr=tr, te=te), 0.1, 1.0)


def _t1_mprage(draw: Draw) -> NDArray[np.float64]:
    if draw.rng.random() < 0.3:  # the other makers' shorter preparation
        ti, tr = draw.uniform(400, 650), draw.uniform(1100, 1900)
    else:
        ti, tr = draw.uniform(800, 1150), draw.uniform(1600, 2600)
    te = draw.uniform(2, 5)
    signal = physics.magnetisation_prepared(draw.tissues, tr=tr, te=te, ti=ti)
    return draw.flowing(signal, 0.5, 1.5)


def _t1_spoiled(draw: Draw) -> NDArray[np.float64]:
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


def _t1_flair(draw: Draw) -> NDArray[np.float64]:
    tr, te = draw.uniform(1800, 2800), draw.uniform(8, 30)
    ti = min(physics.fluid_null(draw.tissues, tr) * draw.uniform(0.85, 1.05), 1100)
    signal = physics.inversion_recovery(draw.tissues, tr=tr, te=te, ti=ti)
    return draw.flowing(signal, 0.0, 0.6)


def _t1_true_inversion(draw: Draw) -> NDArray[np.float64]:
    """Turbo inversion recovery about white matter's null, shown with its sign.

    The lowest value is black, so air, at 0, is grey. As a magnitude it shows white
    matter darker than grey, and nobody would call it a T1.
    """
    tr, te = draw.uniform(2800, 5000), draw.uniform(10, 20)
    ti = float(draw.tissues.t1[physics.WHITE]) * np.log(2) * draw.uniform(0.85, 1.4)
    signal = physics.inversion_recovery(draw.tissues, tr=tr, te=te, ti=ti)
    return draw.flowing(signal - signal.min(), 0.0, 0.6)


def _t1_two_inversions(draw: Draw) -> NDArray[np.float64]:
    """MP2RAGE's uniform image (Marques 2010): g₁g₂ / (g₁² + g₂²), from -½ to ½.

    Density, T2* and the coil's sensitivity are the same in both images and cancel.
    """
    tr = draw.uniform(4500, 6500)
    first, second = (
        physics.magnetisation_prepared(draw.tissues, tr=tr, te=0, ti=ti)
        for ti in (draw.uniform(700, 900), draw.uniform(2200, 2800))
    )
    power = first**2 + second**2
    signal = 0.5 + np.divide(
        first * second, power, out=np.full_like(power, -0.5), where=power > 0
    )
    signal[[physics.BONE, physics.NOTHING]] = 0
    return signal


def _t1_saturation_recovery(draw: Draw) -> NDArray[np.float64]:
    """Gradient echoes after a saturating pulse: PD · (1 - e^(-TS/T1)) · e^(-TE/T2*)."""
    recovery, te = draw.uniform(350, 900), draw.uniform(2, 6)
    tissues = draw.tissues
    recovered = 1 - np.exp(-recovery / tissues.t1)
    signal = tissues.density * recovered * np.exp(-te / tissues.t2_star)
    return draw.flowing(signal, 0.5, 1.5)


def _t2_echo(draw: Draw, shortest: float, longest: float) -> NDArray[np.float64]:
    tr, te = draw.uniform(2500, 7500), draw.uniform(shortest, longest)
    signal = physics.spin_echo(draw.tissues, tr=tr, te=te)
    return draw.flowing(signal, 0.0, 0.5)


def _t2_spin_echo(draw: Draw) -> NDArray[np.float64]:
    return _t2_echo(draw, 78, 130)


def _t2_late_echo(draw: Draw) -> NDArray[np.float64]:
    return _t2_echo(draw, 140, 190)


def _flair(draw: Draw, shortest: float, longest: float) -> NDArray[np.float64]:
    tr = draw.uniform(shortest, longest)
    ti = physics.fluid_null(draw.tissues, tr) * draw.uniform(0.95, 1.05)
    te = draw.uniform(85, 150)
    signal = physics.inversion_recovery(draw.tissues, tr=tr, te=te, ti=ti)
    # Magnetisation transfer of the many refocusing pulses darkens white matter.
    signal[physics.WHITE] *= draw.uniform(0.88, 1.0)
    return draw.flowing(signal, 0.0, 0.5)


def _flair_slices(draw: Draw) -> NDArray[np.float64]:
    return _flair(draw, 6000, 11000)


def _flair_volume(draw: Draw) -> NDArray[np.float64]:
    return _flair(draw, 4800, 8000)


def _flair_hurried(draw: Draw) -> NDArray[np.float64]:
    return _flair(draw, 3800, 4700)


FAMILIES: Final[dict[str, dict[str, Family]]] = {
    "T1": {
        "spin-echo": Family(0.30, _t1_spin_echo, 0.05, 0.4, 0.15),
        "mprage": Family(0.40, _t1_mprage, 0.95, 0.2, 0.1),
        "spoiled": Family(0.17, _t1_spoiled, 0.7, 0.3),
        "t1-flair": Family(0.13, _t1_flair, 0.0, 0.3),
        "true-inversion": Family(0.05, _t1_true_inversion, 0.0, 0.3),
        "two-inversions": Family(
            0.05,
            _t1_two_inversions,
            1.0,
            fat_by_density=False,
            effects=("", "airless"),
        ),
    },
    "T2": {
        "slices": Family(0.7, _t2_spin_echo, 0.0, 0.0, 0.1),
        "volume": Family(0.3, _t2_spin_echo, 1.0, 0.0, 0.1),
    },
    "FLAIR": {
        "slices": Family(0.6, _flair_slices, 0.0, 0.0, 0.4),
        "volume": Family(0.4, _flair_volume, 1.0, 0.0, 0.4, blur_mm=(0.3, 1.2)),
    },
    "other": OTHER_FAMILIES,
}
"""What trainings see of each class."""


_SEALED: Final[dict[str, dict[str, Family]]] = {
    "T1": {"saturation-recovery": Family(1.0, _t1_saturation_recovery, 0.6, 0.3)},
    "T2": {"late-echo": Family(1.0, _t2_late_echo, 0.3, 0.0, 0.1)},
    "FLAIR": {"hurried": Family(1.0, _flair_hurried, 0.5, 0.0, 0.4)},
}
"""Families that no training sees: what sealed tests are made of."""

COMMON_OTHER: Final = ("density", "t2-star", "diffusion")
"""What `other` is without its variety."""


def sample_protocol(
    contrast: str,
    rng: np.random.Generator,
    *,
    sealed: bool = False,
    variety: bool = True,
) -> Protocol:
    """Draws a protocol of a class.

    Args:
        contrast: One of `pipeline.contrasts.CLASSES`.
        rng: Where the draw comes from; the same state gives the same protocol.
        sealed: From the families that no training sees.
        variety: Without it, `other` is one of the three families in `COMMON_OTHER`.

    Returns:
        A protocol whose grey matter has signal 1, where it has any.
    """
    families = (_SEALED if sealed else FAMILIES)[contrast]
    if contrast == "other" and not variety:
        families = {name: families[name] for name in COMMON_OTHER}
    shares = np.array([family.share for family in families.values()])
    name = str(rng.choice(list(families), p=shares / shares.sum()))
    family = families[name]
    gadolinium = bool(rng.random() < family.gadolinium)
    three_tesla = bool(rng.random() < 0.5)
    for _ in range(_TRIES):
        signal, fat_gain = _sample_signal(
            family, rng, three_tesla, gadolinium=gadolinium
        )
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
        fat_gain=fat_gain,
        blur_mm=float(rng.uniform(*family.blur_mm)),
        effect=str(rng.choice(list(family.effects))),
    )


_TRIES: Final = 20
"""A draw is repeated until it shows its contrast; at most 3 in 10 do not."""


def _sample_signal(
    family: Family, rng: np.random.Generator, three_tesla: bool, *, gadolinium: bool
) -> tuple[NDArray[np.float64], float]:
    """Signed signal of each tissue, and how many times brighter fat is made in it."""
    tissues = physics.sample_tissues(rng, three_tesla=three_tesla)
    if gadolinium:
        tissues = physics.with_gadolinium(tissues, rng)
    signal = family.signal(Draw(rng, tissues, three_tesla))
    fat_gain = tissues.fat_gain if family.fat_by_density else 1.0
    if rng.random() < family.fat_saturation:
        left = rng.uniform(0.03, 0.4)
        signal[physics.FAT] *= left
        fat_gain *= left
    return signal, fat_gain


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
