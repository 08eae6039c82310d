"""The families of the class `other`: whatever shows a head and is no T1, T2 or FLAIR.

Shares follow public collections: proton density and diffusion are most of it. A draw
that the brightness of the brain alone would make a T1 or FLAIR is made again; what then
still resembles a T2 is told by holes, coarse voxels and dark fat.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom import physics
from pipeline.phantom.families import Draw, Family

_Signal = NDArray[np.float64]
_TRIES: Final = 20
_AIRLESS: Final = [physics.BONE, physics.NOTHING]


def _density(draw: Draw) -> _Signal:
    """Grey matter brighter than white and fluid about as bright: else drawn again."""
    for _ in range(_TRIES):
        tr, te = draw.uniform(2200, 6000), draw.uniform(8, 35)
        signal = physics.spin_echo(draw.tissues, tr=tr, te=te)
        white, grey, fluid = signal[[physics.WHITE, physics.GREY, physics.FLUID]]
        if grey > 1.03 * white and 0.75 * grey < fluid < 1.5 * grey:
            break
    return signal


def _t2_star(draw: Draw) -> _Signal:
    tr, te, angle = (
        draw.uniform(400, 900), draw.uniform(15, 35), draw.uniform(10, 25),
    )  # fmt: skip
    return physics.spoiled_gradient_echo(draw.tissues, tr=tr, te=te, angle=angle)


def _susceptibility(draw: Draw) -> _Signal:
    tr, te, angle = draw.uniform(25, 50), draw.uniform(18, 40), draw.uniform(10, 20)
    signal = physics.spoiled_gradient_echo(draw.tissues, tr=tr, te=te, angle=angle)
    signal[physics.WHITE] *= draw.uniform(0.85, 1.0)
    return signal


def _unweighted_diffusion(draw: Draw) -> _Signal:
    signal = physics.spin_echo(
        draw.tissues, tr=draw.uniform(3500, 12000), te=draw.uniform(55, 110)
    )
    return _saturated(signal, draw)


def _diffusion(draw: Draw) -> _Signal:
    weighting = draw.rng.choice([0.7, 1.0, 1.0, 1.5, 2.5])  # b in ms/µm²
    signal = _unweighted_diffusion(draw)
    return signal * np.exp(-weighting * draw.tissues.diffusivity)


def _saturated(signal: _Signal, draw: Draw) -> _Signal:
    """Echo-planar images need fat saturated."""
    signal[physics.FAT] *= draw.uniform(0, 0.15)
    return signal


def _diffusivity(draw: Draw) -> _Signal:
    signal = draw.tissues.diffusivity.copy()
    signal[[physics.FAT, *_AIRLESS]] = draw.uniform(0, 0.5)
    return signal


def _anisotropy(draw: Draw) -> _Signal:
    signal = np.full(len(physics.TISSUES), draw.uniform(0.5, 1.5))
    signal[physics.GREY] = 1
    signal[[physics.WHITE, physics.CORD]] = draw.uniform(2.5, 4)
    signal[[physics.FLUID, physics.EYE]] = draw.uniform(0, 0.4)
    signal[_AIRLESS] = 0
    return signal


def _bold(draw: Draw) -> _Signal:
    signal = physics.spoiled_gradient_echo(
        draw.tissues, tr=draw.uniform(800, 3000), te=draw.uniform(20, 50),
        angle=draw.uniform(50, 90),
    )  # fmt: skip
    return _saturated(signal, draw)


def _perfusion(draw: Draw) -> _Signal:
    signal = np.full(len(physics.TISSUES), draw.uniform(0.05, 0.3))
    signal[physics.GREY] = 1
    signal[physics.WHITE] = draw.uniform(0.15, 0.5)
    signal[[physics.FLUID, *_AIRLESS]] = 0
    return signal


def _inflow(draw: Draw) -> _Signal:
    """Tissue saturated by many pulses, white matter by magnetisation transfer, too."""
    signal = physics.spoiled_gradient_echo(
        draw.tissues, tr=draw.uniform(18, 35), te=draw.uniform(2.5, 7),
        angle=draw.uniform(15, 30),
    )  # fmt: skip
    signal[physics.WHITE] *= draw.uniform(0.65, 0.95)
    return signal


def _short_inversion(draw: Draw) -> _Signal:
    """Fat nulled; echoes too short to pass for a fat-saturated T2."""
    return physics.inversion_recovery(
        draw.tissues, tr=draw.uniform(3000, 6000), te=draw.uniform(10, 45),
        ti=float(draw.tissues.t1[physics.FAT]) * np.log(2) * draw.uniform(0.9, 1.1),
    )  # fmt: skip


def _double_inversion(draw: Draw) -> _Signal:
    """Fluid and white matter nulled, grey matter left."""
    tr, te = draw.uniform(6500, 11000), draw.uniform(20, 60)
    t1 = draw.tissues.t1
    second = float(t1[physics.WHITE]) * draw.uniform(0.5, 0.65)
    first = physics.fluid_null(draw.tissues, tr) * draw.uniform(0.95, 1.05)
    mz = (
        1 - 2 * np.exp(-second / t1) + 2 * np.exp(-(first + second) / t1)
        - np.exp(-tr / t1)
    )  # fmt: skip
    signal = np.abs(draw.tissues.density * mz * np.exp(-te / draw.tissues.t2))
    signal[physics.WHITE] = min(
        signal[physics.WHITE], draw.uniform(0.1, 0.4) * signal[physics.GREY]
    )
    signal[physics.FLUID] = min(
        signal[physics.FLUID], draw.uniform(0, 0.25) * signal[physics.GREY]
    )
    return signal


def _transfer(draw: Draw) -> _Signal:
    """Magnetisation transfer: all that holds large molecules is darker.

    Draws whose fluid is as bright or dark as a T2's or a FLAIR's are made again.
    """
    for _ in range(_TRIES):
        signal = physics.spoiled_gradient_echo(
            draw.tissues, tr=draw.uniform(25, 60), te=draw.uniform(3, 10),
            angle=draw.uniform(5, 15),
        )  # fmt: skip
        signal[[physics.WHITE, physics.CORD]] *= draw.uniform(0.5, 0.6)
        signal[[physics.GREY, physics.MUSCLE]] *= draw.uniform(0.62, 0.75)
        white, grey, fluid = signal[[physics.WHITE, physics.GREY, physics.FLUID]]
        if white < grey and 0.55 * grey < fluid < 1.3 * grey:
            break
    return signal


def _first_inversion(draw: Draw) -> _Signal:
    """MP2RAGE's first image: grey matter about nulled, fluid still inverted."""
    ti = float(draw.tissues.t1[physics.GREY]) * np.log(2) * draw.uniform(0.85, 1.05)
    return physics.inversion_recovery(draw.tissues, tr=6000, te=3, ti=ti)


def _t1_map(draw: Draw) -> _Signal:
    signal = draw.tissues.t1 / 1000
    signal[_AIRLESS] = 0
    return signal


def _t2_map(draw: Draw) -> _Signal:
    signal = draw.tissues.t2 / 100
    signal[_AIRLESS] = 0
    return signal


def _numbered(draw: Draw) -> _Signal:
    """Half numbers for `effects.computed`: fluid 0.5, grey matter 1, white 1.5."""
    signal = np.zeros(len(physics.TISSUES))
    signal[[physics.FLUID, physics.GREY, physics.WHITE]] = 0.5, 1, 1.5
    signal[[physics.LESION, physics.CORE, physics.CORD]] = 1.5
    if draw.rng.random() < 0.4:  # the head's other tissues, too
        signal[[physics.FAT, physics.MUSCLE, physics.MUCOSA]] = 2, 2.5, 2.5
        signal[[physics.BONE, physics.EYE]] = 3, 3.5
    return signal


def _weighted(draw: Draw) -> _Signal:
    """A T1, T2 or FLAIR, for what is done to those."""
    kind = draw.rng.integers(4)
    if kind == 0:
        return physics.spin_echo(
            draw.tissues, tr=draw.uniform(400, 700), te=draw.uniform(8, 18)
        )
    if kind == 1:
        return physics.magnetisation_prepared(
            draw.tissues, tr=draw.uniform(1600, 2600), te=3, ti=draw.uniform(800, 1100)
        )
    tr, te = draw.uniform(4000, 9000), draw.uniform(80, 130)
    if kind == 2:
        return physics.spin_echo(draw.tissues, tr=tr, te=te)
    ti = physics.fluid_null(draw.tissues, tr)
    return physics.inversion_recovery(draw.tissues, tr=tr, te=te, ti=ti)


def _computed_tomography(draw: Draw) -> _Signal:
    """Attenuation relative to grey matter's 1037 (water 1000)."""
    signal = np.full(len(physics.TISSUES), 1045.0)
    signal[physics.GREY] = 1037
    signal[physics.WHITE] = 1037 - draw.uniform(5, 12)
    signal[[physics.FLUID, physics.EYE]] = draw.uniform(1004, 1014)
    signal[[physics.LESION, physics.CORE]] = draw.uniform(1015, 1028)
    signal[physics.FAT] = draw.uniform(890, 930)
    signal[physics.MUSCLE] = draw.uniform(1045, 1065)
    signal[physics.BONE] = draw.uniform(1800, 2800)
    signal[physics.NOTHING] = 0
    return signal


def _emission(draw: Draw) -> _Signal:
    """Sugar goes to grey matter; other tracers to white matter or evenly."""
    signal = np.full(len(physics.TISSUES), draw.uniform(0.05, 0.3))
    signal[physics.GREY] = 1
    signal[physics.WHITE] = draw.rng.choice(
        [draw.uniform(0.2, 0.5), draw.uniform(0.2, 0.5), draw.uniform(0.9, 1.6)]
    )
    signal[[physics.FLUID, *_AIRLESS]] = draw.uniform(0, 0.15)
    return signal


_PLANAR: Final = (0.0, 2.5)
"""Loss of sharpness (mm) of echo-planar images beyond their coarse voxels."""

OTHER_FAMILIES: Final[dict[str, Family]] = {
    "density": Family(0.2, _density, 0.1, 0.0, 0.25),
    "t2-star": Family(0.04, _t2_star, 0.1, effects=("dropout",)),
    "susceptibility": Family(0.06, _susceptibility, 0.6, effects=("veins",)),
    "b0": Family(
        0.02, _unweighted_diffusion, 0.3, blur_mm=_PLANAR, effects=("echo-planar",)
    ),
    "diffusion": Family(0.1, _diffusion, 0.3, blur_mm=_PLANAR, effects=("trace",)),
    "diffusivity": Family(
        0.03,
        _diffusivity,
        0.3,
        blur_mm=_PLANAR,
        fat_by_density=False,
        effects=("diffusivity",),
    ),
    "anisotropy": Family(
        0.025,
        _anisotropy,
        0.5,
        blur_mm=(0, 2),
        fat_by_density=False,
        effects=("anisotropy",),
    ),
    "bold": Family(0.07, _bold, 0.5, blur_mm=_PLANAR, effects=("echo-planar",)),
    "perfusion": Family(
        0.045,
        _perfusion,
        0.3,
        blur_mm=(2, 5),
        fat_by_density=False,
        effects=("perfusion",),
    ),
    "angiography": Family(
        0.04, _inflow, 0.8, effects=("angiography", "angiography", "projection")
    ),
    "phase": Family(0.03, _t2_star, 0.6, effects=("phase",)),
    "ct": Family(
        0.09, _computed_tomography, 1.0, fat_by_density=False, effects=("tomography",)
    ),
    "emission": Family(
        0.05,
        _emission,
        0.8,
        blur_mm=(5, 11),
        fat_by_density=False,
        effects=("emission",),
    ),
    "segmentation": Family(
        0.02,
        _numbered,
        1.0,
        fat_by_density=False,
        effects=("labels", "parcels", "mask", "probability", "activation"),
    ),
    "difference": Family(0.01, _weighted, 1.0, effects=("difference",)),
    "t1-map": Family(
        0.015, _t1_map, 0.5, fat_by_density=False, effects=("quantitative",)
    ),
    "t2-map": Family(
        0.015, _t2_map, 0.2, fat_by_density=False, effects=("quantitative",)
    ),
    "inverted": Family(0.05, _weighted, 0.4, 0.2, effects=("inverted",)),
    "stir": Family(0.015, _short_inversion, 0.0),
    "double-inversion": Family(0.02, _double_inversion, 0.6),
    "transfer": Family(0.02, _transfer, 0.5),
    "first-inversion": Family(0.015, _first_inversion, 1.0),
    "motion": Family(0.01, _weighted, 0.3, effects=("motion",)),
    "tiny": Family(0.01, _weighted, 0.8, effects=("tiny",)),
}

WITHOUT_MAGNET: Final = ("other/ct", "other/emission")
"""Families that have no field strength."""
