"""What each code of the template is made of, in one subject.

A subject's age, fat and bone live here, as a table from code to tissue fractions:
changing them costs a table of 14 thousand rows instead of a volume of ten million.
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom import physics, template

FOLDS: Final = 8
"""Levels of the folding field: 0 on a sulcus, 7 far from any."""


@dataclasses.dataclass(frozen=True, slots=True)
class Composition:
    """One subject's tissues.

    Attributes:
        sharpness: Exponent on the averaged probabilities; 1 leaves them blurred.
        atrophy: Added log-odds of fluid: -1.5 in the young, up to 2.6 in the old.
        grey: Added log-odds of grey matter.
        folding: How strongly the folding field carves sulci.
        sulci: Share of fluid in a sulcus within grey matter.
        stem_grey: Share of grey matter in the brain stem.
        fluid_mm: Fluid between brain and skull.
        dura_mm: Thickness of the membrane under the skull.
        inner_mm, marrow_mm, outer_mm: The skull's three layers.
        fat_mm, skin_mm: The scalp's.
        marrow_fat: Share of fat in bone marrow.
        bands: Tissue of each noise band of face and neck.
        septum: Tissue of the winding sheets between them.
        septum_folds: How many levels of the folding field a sheet takes; 0 for none.
        airway: Tissue that fills nose and sinuses: air, or mucosa.
    """

    sharpness: float
    atrophy: float
    grey: float
    folding: float
    sulci: float
    stem_grey: float
    fluid_mm: float
    dura_mm: float
    inner_mm: float
    marrow_mm: float
    outer_mm: float
    fat_mm: float
    skin_mm: float
    marrow_fat: float
    bands: tuple[int, ...]
    septum: int
    septum_folds: int
    airway: int


YOUNG: Final = 0.3
"""Share of subjects whose sulci are closed: half of them show thin lines of fluid, in
the others it is in the ventricles alone."""


def sample_composition(rng: np.random.Generator) -> Composition:
    """Draws a subject: half with much fluid, and a third with closed sulci."""
    drawn = Composition(
        sharpness=float(rng.uniform(1.8, 5.0)),
        atrophy=float(rng.choice([rng.uniform(-1.5, 0.3), rng.uniform(0, 2.6)])),
        grey=float(rng.uniform(-0.3, 0.6)),
        folding=float(rng.uniform(0.3, 4.0)),
        sulci=float(rng.uniform(0, 0.9)),
        stem_grey=float(rng.uniform(0, 0.5)),
        fluid_mm=float(rng.choice([0.0, rng.uniform(0, 3.0)])),
        dura_mm=float(rng.uniform(0.2, 1.2)),
        inner_mm=float(rng.uniform(1.5, 2.5)),
        marrow_mm=float(rng.uniform(0.0, 4.0)),
        outer_mm=float(rng.uniform(1.5, 2.5)),
        fat_mm=float(rng.uniform(1.5, 8.0)),
        skin_mm=float(rng.uniform(1.0, 2.5)),
        marrow_fat=float(rng.uniform(0.3, 0.9)),
        bands=_sample_bands(rng),
        septum=int(
            rng.choice([physics.FAT, physics.FAT, physics.BONE, physics.MUCOSA])
        ),
        septum_folds=int(rng.choice([0, 0, 1, 2])),
        airway=physics.MUCOSA if rng.random() < 0.15 else physics.NOTHING,
    )
    if rng.random() >= YOUNG:
        return drawn
    return dataclasses.replace(
        drawn,
        atrophy=float(rng.uniform(-2.0, -0.5)),
        folding=drawn.folding / 3,
        sulci=drawn.sulci / float(rng.choice([2, 6])),
        fluid_mm=0.0,
    )


def _sample_bands(rng: np.random.Generator) -> tuple[int, ...]:
    """Contiguous runs of bands in random order, so that neighbours change slowly."""
    shares = {
        physics.MUSCLE: rng.uniform(14, 28),
        physics.FAT: rng.uniform(4, 12),
        physics.MUCOSA: rng.uniform(1, 6),
        physics.BONE: rng.uniform(1, 5),
        physics.NOTHING: rng.uniform(0, 3),
    }
    runs: list[int] = []
    for tissue in rng.permutation(list(shares)):
        runs += [int(tissue)] * round(shares[int(tissue)])
    stretched = np.linspace(0, len(runs) - 1, template.SOFT_BANDS).round().astype(int)
    return tuple(runs[position] for position in stretched)


def fractions(composition: Composition) -> NDArray[np.float32]:
    """The table that a subject's rendering looks codes up in.

    Args:
        composition: The subject.

    Returns:
        (CODES * FOLDS, tissues) float32; rows sum to 1. Row code * FOLDS + fold.
    """
    table = np.zeros((template.CODES, FOLDS, len(physics.TISSUES)), np.float32)
    table[template.BRAIN : template.SHELL] = _brain(composition)
    table[template.SHELL : template.SOFT] = _shell(composition)[:, None]
    table[template.SOFT : template.EYE] = _soft(composition)
    marrow = (
        (physics.FAT, composition.marrow_fat),
        (physics.MUSCLE, 1 - composition.marrow_fat),
    )
    stem = (
        (physics.WHITE, 1 - composition.stem_grey),
        (physics.GREY, composition.stem_grey),
    )
    for code, mixture in (
        (template.EYE, ((physics.EYE, 1.0),)),
        (template.ORBIT, ((physics.FAT, 0.85), (physics.MUSCLE, 0.15))),
        (template.AIRWAY, ((composition.airway, 1.0),)),
        (template.TONGUE, ((physics.MUSCLE, 0.75), (physics.FAT, 0.25))),
        (template.MARROW, marrow),
        (template.STEM, stem),
        (template.CISTERN, ((physics.FLUID, 1.0),)),
        (template.CORD, ((physics.CORD, 1.0),)),
        (template.CORD_FLUID, ((physics.FLUID, 1.0),)),
        (template.VENTRICLE, ((physics.FLUID, 1.0),)),
        (template.SINUS, ((physics.BLOOD, 0.85), (physics.DURA, 0.15))),
        (template.VERTEBRA, marrow),
        (template.DISC, ((physics.MUSCLE, 0.7), (physics.MUCOSA, 0.3))),
        (template.AIR, ((physics.NOTHING, 1.0),)),
    ):
        for tissue, share in mixture:
            table[code, :, tissue] += share
    return table.reshape(-1, len(physics.TISSUES))


def _brain(composition: Composition) -> NDArray[np.float32]:
    """(1024, FOLDS, tissues): sharpened mixtures, carved by the folding field."""
    levels = np.arange(template.LEVELS) / (template.LEVELS - 1)
    grey, white = (axis.ravel() for axis in np.meshgrid(levels, levels, indexing="ij"))
    fluid = np.clip(1 - grey - white, 0, 1)
    odds = np.stack([white, grey, fluid], -1)[:, None, :] + 1e-3
    fold = np.arange(FOLDS) / (FOLDS - 1)
    carve = np.stack(
        [
            np.clip(fold - 0.4, 0, 0.4) * 2,  # white between sulci
            np.exp(-(((fold - 0.3) / 0.2) ** 2)),  # grey along them
            np.exp(-((fold / 0.12) ** 2)) * 1.5,  # fluid in them
        ],
        -1,
    )
    bias = np.array([0.0, composition.grey, composition.atrophy])
    weight = odds**composition.sharpness * np.exp(bias + composition.folding * carve)
    mixture = np.zeros((*weight.shape[:2], len(physics.TISSUES)), np.float32)
    parts = [physics.WHITE, physics.GREY, physics.FLUID]
    mixture[..., parts] = weight / weight.sum(-1, keepdims=True)
    # Averaging many people has filled their sulci with grey matter: some fluid returns.
    cut = composition.sulci * np.exp(-((fold / 0.2) ** 2))
    opened = np.clip(2 * (grey - 0.35), 0, 1)[:, None] * cut
    mixture *= (1 - opened[..., None]).astype(np.float32)
    mixture[..., physics.FLUID] += opened.astype(np.float32)
    return mixture


def _shell(composition: Composition) -> NDArray[np.float32]:
    """(SHELL_STEPS, tissues): fluid, dura, bone, marrow, bone, fat, skin, then air."""
    layers = (
        (composition.fluid_mm, ((physics.FLUID, 1.0),)),
        (composition.dura_mm, ((physics.DURA, 1.0),)),
        (composition.inner_mm, ((physics.BONE, 1.0),)),
        (
            composition.marrow_mm,
            (
                (physics.FAT, composition.marrow_fat * 0.8),
                (physics.MUSCLE, 1 - composition.marrow_fat * 0.8),
            ),
        ),
        (composition.outer_mm, ((physics.BONE, 1.0),)),
        (composition.fat_mm, ((physics.FAT, 0.92), (physics.MUSCLE, 0.08))),
        (composition.skin_mm, ((physics.MUSCLE, 1.0),)),
        (np.inf, ((physics.NOTHING, 1.0),)),
    )
    start = np.arange(template.SHELL_STEPS) * template.SHELL_STEP
    table = np.zeros((template.SHELL_STEPS, len(physics.TISSUES)), np.float32)
    begin = 0.0
    for thickness, mixture in layers:
        end = begin + thickness
        overlap = np.minimum(start + template.SHELL_STEP, end) - np.maximum(
            start, begin
        )
        share = np.clip(overlap / template.SHELL_STEP, 0, 1)
        for tissue, part in mixture:
            table[:, tissue] += (share * part).astype(np.float32)
        begin = end
    return table


def _soft(composition: Composition) -> NDArray[np.float32]:
    """(depths * bands, FOLDS, tissues): skin, fat, then what the noise bands say.

    Sheets of another tissue wind between them, as fat does between muscles and bone in
    the nose.
    """
    table = np.zeros(
        (template.SOFT_DEPTHS, template.SOFT_BANDS, len(physics.TISSUES)), np.float32
    )
    depth = np.arange(template.SOFT_DEPTHS)
    deep = np.clip(depth - composition.skin_mm - composition.fat_mm, 0, 1)
    skin = np.clip(composition.skin_mm + 0.5 - depth, 0, 1) * (1 - deep)
    table[:, :, physics.MUSCLE] += skin[:, None]
    table[:, :, physics.FAT] += (1 - skin - deep)[:, None]
    for band, tissue in enumerate(composition.bands):
        table[:, band, tissue] += deep
    flat = table.reshape(-1, 1, len(physics.TISSUES)).repeat(FOLDS, 1)
    inside = np.repeat(deep == 1, template.SOFT_BANDS)
    sheet = np.eye(len(physics.TISSUES), dtype=np.float32)[composition.septum]
    flat[inside, : composition.septum_folds] = sheet
    return flat
