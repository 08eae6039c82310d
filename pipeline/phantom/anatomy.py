"""A subject: the template bent, folded and given lesions, on a grid of its own."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.phantom import composition, physics, template

_TILE: Final = 128
FIELD_LOW_MM: Final = (-95.0, -128.0)
FIELD_HIGH_MM: Final = (95.0, 112.0, 104.0)
"""Corners of every grid in MNI millimetres; where it begins below differs."""

_SMOOTH_NODES: Final = (5, 6, 6)
_FINE_NODES: Final = (18, 22, 22)


FINE: Final = 0.25
"""Share of subjects rendered at 1 to 1.25 mm, as sharp as most real scans are once cut
to 150 pixels; they take twice the time of others."""


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """Everything that a head's shape depends on.

    Attributes:
        linear: (3, 3) subject to template: rotation, scale and shear.
        shift: Template millimetres.
        smooth, fine: Displacements (mm) on coarse grids over the field of view.
        tile_shift: Where the folding and lesion noise starts, in voxels.
        sulci: Which of the noises it is folded by; sealed tests have others.
        tissues: What the template's codes are made of.
        lesion_load: 0 to 1: how much of the white matter is lesion; 0 in most.
        tumour: Centre (mm, MNI) and radius of a tumour, or None.
        voxel_mm: Spacing of the rendered grid.
        lowest_mm: MNI height where the field of view begins.
    """

    linear: NDArray[np.float64]
    shift: NDArray[np.float64]
    smooth: NDArray[np.float32]
    fine: NDArray[np.float32]
    tile_shift: tuple[int, int, int]
    sulci: int
    tissues: composition.Composition
    lesion_load: float
    tumour: tuple[tuple[float, float, float], float] | None
    voxel_mm: float
    lowest_mm: float


@dataclasses.dataclass(frozen=True, slots=True)
class Anatomy:
    """A rendered subject.

    Attributes:
        rows: (i, j, k) uint16: row of `fractions` for each voxel.
        fractions: (rows, tissues) float32.
        lesion: (i, j, k) float32 in [0, 1], or None where there is none.
        core: Likewise the enhancing, fluid-like core of a tumour.
        voxel_mm: Spacing, equal along all axes.
    """

    rows: NDArray[np.uint16]
    fractions: NDArray[np.float32]
    lesion: NDArray[np.float32] | None
    core: NDArray[np.float32] | None
    voxel_mm: float


def sample_subject(rng: np.random.Generator, *, sealed: bool = False) -> Subject:
    """Draws a subject: size ±14 %, turned by at most 15°, bent by up to about 8 mm.

    Args:
        rng: Where the draw comes from.
        sealed: An anatomy that no training sees: folded by other noises, and bent by
            half as much again.
    """
    bent = 6.0 if sealed else 4.0
    fine = rng.random() < FINE
    tumour = None
    if rng.random() < 0.12:
        side = rng.choice([-1, 1])
        centre = (
            float(side * rng.uniform(15, 50)),
            float(rng.uniform(-80, 45)),
            float(rng.uniform(-15, 50)),
        )
        tumour = (centre, float(rng.uniform(6, 20)))
    return Subject(
        linear=_sample_linear(rng),
        shift=rng.normal(0, 3, 3),
        smooth=(rng.normal(0, bent, (3, *_SMOOTH_NODES))).astype(np.float32),
        fine=(rng.normal(0, 1.3, (3, *_FINE_NODES))).astype(np.float32),
        tile_shift=_triple(rng.integers(0, _TILE, 3)),
        sulci=int(sealed),
        tissues=composition.sample_composition(rng),
        lesion_load=float(rng.beta(1, 2.2)) if rng.random() < 0.45 else 0.0,
        tumour=tumour,
        voxel_mm=float(rng.uniform(1.0, 1.25) if fine else rng.uniform(1.25, 1.8)),
        lowest_mm=float(rng.choice([rng.uniform(-75, -45), rng.uniform(-135, -75)])),
    )


def _triple(numbers: NDArray[np.int64]) -> tuple[int, int, int]:
    first, second, third = numbers.tolist()
    return first, second, third


def _sample_linear(rng: np.random.Generator) -> NDArray[np.float64]:
    turned = np.eye(3)
    for axis, degrees in enumerate(rng.normal(0, 6, 3).clip(-15, 15)):
        angle = np.deg2rad(degrees)
        first, second = [other for other in range(3) if other != axis]
        rotation = np.eye(3)
        rotation[first, first] = rotation[second, second] = np.cos(angle)
        rotation[first, second], rotation[second, first] = -np.sin(angle), np.sin(angle)
        turned = turned @ rotation
    size = rng.normal(1, 0.07) * np.exp(rng.normal(0, 0.04, 3))
    return turned @ np.diag(1 / size) @ (np.eye(3) + rng.normal(0, 0.012, (3, 3)))


def render(subject: Subject) -> Anatomy:
    """Renders a subject on its grid: nearest template voxel, about 0.4 s.

    Args:
        subject: What to render.

    Returns:
        The anatomy, axes left-right, back-front, down-up.
    """
    head = template.load_template()
    voxels = _template_voxels(subject, head)
    code = head.codes[tuple(voxels)].astype(np.int32)
    tile = tuple(
        (axis + start) & (_TILE - 1)
        for axis, start in zip(voxels, subject.tile_shift, strict=True)
    )
    folds = _folds(subject, head.folding[tuple(voxels)], voxels, tile)
    rows = (code * composition.FOLDS + folds).astype(np.uint16)
    lesion, core = _lesions(subject, head, voxels, tile, code < template.SHELL)
    return Anatomy(
        rows, composition.fractions(subject.tissues), lesion, core, subject.voxel_mm
    )


def _folds(
    subject: Subject,
    region: NDArray[np.uint8],
    voxels: list[NDArray[np.int32]],
    tile: tuple[NDArray[np.int32], ...],
) -> NDArray[np.uint8]:
    """Level of the folding field: three times as fine in the cerebellum."""
    field = _folding_tile(subject.sulci)
    folds = field[tile]
    folds[region == template.DEEP] = composition.FOLDS - 1
    fine = np.nonzero(region == template.CEREBELLUM)
    folds[fine] = field[
        tuple(
            (3 * axis[fine] + start) & (_TILE - 1)
            for axis, start in zip(voxels, subject.tile_shift, strict=True)
        )
    ]
    return folds


def _template_voxels(
    subject: Subject, head: template.Template
) -> list[NDArray[np.int32]]:
    """For each voxel of the grid, the template voxel (three int32 volumes)."""
    low = np.array([*FIELD_LOW_MM, subject.lowest_mm])
    extent = np.array(FIELD_HIGH_MM) - low
    sides = [int(side) for side in extent / subject.voxel_mm]
    axes = [
        start + np.arange(side, dtype=np.float32) * np.float32(subject.voxel_mm)
        for start, side in zip(low, sides, strict=True)
    ]
    voxels = []
    for axis in range(3):
        bent = upsample(subject.smooth[axis], sides) + upsample(
            subject.fine[axis], sides
        )
        for other in range(3):
            along = [-1 if other == direction else 1 for direction in range(3)]
            bent += (subject.linear[axis, other] * axes[other]).reshape(along)
        bent += np.float32(subject.shift[axis] + head.origin[axis])
        np.clip(bent, 0, head.codes.shape[axis] - 1, out=bent)
        voxels.append(np.rint(bent, out=bent).astype(np.int32))
    return voxels


def upsample(coarse: NDArray[np.float32], sides: Sequence[int]) -> NDArray[np.float32]:
    """A smooth field from its nodes: cubic B-splines, one axis after the other."""
    field = coarse
    for axis, side in enumerate(sides):
        weights = spline_weights(coarse.shape[axis], side)
        field = np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis)
    return np.ascontiguousarray(field)


@functools.lru_cache(maxsize=256)
def spline_weights(nodes: int, side: int) -> NDArray[np.float32]:
    """(side, nodes) float32 weights of a uniform cubic B-spline; rows sum to 1."""
    position = np.linspace(0, nodes - 1, side)[:, None]
    distance = np.abs(position - np.arange(nodes)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clip(0) ** 3 / 6
    weights = np.where(distance < 1, near, far)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@functools.cache
def _folding_tile(sulci: int) -> NDArray[np.uint8]:
    """(128, 128, 128) periodic uint8 in [0, FOLDS): 0 on sheets 10 mm apart.

    The zero set of a band-passed noise is a winding sheet, as a sulcus is.
    """
    noise = (
        np.random.default_rng([8, sulci] if sulci else 8)
        .standard_normal((_TILE,) * 3)
        .astype(np.float32)
    )
    band = ndimage.gaussian_filter(noise, 2.2, mode="wrap") - ndimage.gaussian_filter(
        noise, 4.0, mode="wrap"
    )
    level = np.abs(band) / band.std() * composition.FOLDS / 1.6
    return np.minimum(level, composition.FOLDS - 1).astype(np.uint8)


@functools.cache
def _lesion_tile() -> NDArray[np.float32]:
    """(128, 128, 128) periodic float32 of unit variance: blobs of some 8 mm."""
    noise = np.random.default_rng(9).standard_normal((_TILE,) * 3).astype(np.float32)
    blobs = ndimage.gaussian_filter(noise, 3.0, mode="wrap")
    return (blobs / blobs.std()).astype(np.float32)


def _lesions(
    subject: Subject,
    head: template.Template,
    voxels: list[NDArray[np.int32]],
    tile: tuple[NDArray[np.int32], ...],
    brain: NDArray[np.bool_],
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """White-matter lesions, most near the ventricles, and a tumour with oedema."""
    lesion: NDArray[np.float32] | None = None
    core: NDArray[np.float32] | None = None
    if subject.lesion_load:
        near = np.exp(head.ventricle_mm[tuple(voxels)] / np.float32(-12))
        threshold = 3.3 - 1.6 * subject.lesion_load
        white = _share(subject, physics.WHITE)[head.codes[tuple(voxels)]]
        lesion = _ramp((_lesion_tile()[tile] + 2.2 * near - threshold) * 2, brain)
        lesion *= white
    if subject.tumour:
        centre, radius = subject.tumour
        x, y, z = (
            (axis - np.float32(middle + origin)) ** 2
            for axis, middle, origin in zip(voxels, centre, head.origin, strict=True)
        )
        edge = np.sqrt(x + y + z) / radius + 0.15 * _lesion_tile()[tile]
        core = _ramp((0.8 - edge) * 6, brain)
        swollen = _ramp((1.7 - edge) * 4, brain)
        lesion = swollen if lesion is None else np.maximum(lesion, swollen)
    return lesion, core


def _ramp(
    amount: NDArray[np.floating], brain: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Shares in [0, 1], none outside the brain."""
    return (np.clip(amount, 0, 1) * brain).astype(np.float32)


def _share(subject: Subject, tissue: int) -> NDArray[np.float32]:
    """(CODES,) float32: share of one tissue in each code, away from the folds."""
    table = composition.fractions(subject.tissues)
    return table[composition.FOLDS // 2 :: composition.FOLDS, tissue]
