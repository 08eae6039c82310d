"""The head that every subject is warped from: one code a voxel at 1 mm.

Grey and white matter come from the MNI ICBM152 2009a probability maps that nilearn
carries. What those lack (skull, scalp, face, eyes, neck) is built around them from
distances and ellipsoids in MNI millimetres. A code says what a voxel is made of; what
that weighs (how sharp, how thick, how atrophied) is decided for each subject by
`composition.py`, so that anatomy varies without touching the volume again.
"""

import dataclasses
import functools
import hashlib
import logging
import os
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.files import replacing

LEVELS: Final = 32
"""Levels of grey- and of white-matter probability in a brain code."""

BRAIN: Final = 0
"""Codes BRAIN + 32 * grey + white: a mixture of grey, white and cerebrospinal fluid."""

SHELL: Final = LEVELS * LEVELS
SHELL_STEP: Final = 0.5
SHELL_STEPS: Final = 80
"""Codes SHELL + n: n half millimetres outside the intracranial volume."""

SOFT: Final = SHELL + SHELL_STEPS
SOFT_DEPTHS: Final = 16
SOFT_BANDS: Final = 32
"""Codes SOFT + 32 * depth + band: face and neck, `depth` mm under the skin; the band
is a smooth noise's quantile, which a subject maps to muscle, fat, marrow or air."""

(
    EYE, ORBIT, AIRWAY, TONGUE, CORD, CORD_FLUID, VERTEBRA, DISC, MARROW,
    VENTRICLE, STEM, CISTERN, SINUS, AIR,
) = range(
    SOFT + SOFT_DEPTHS * SOFT_BANDS, SOFT + SOFT_DEPTHS * SOFT_BANDS + 14
)  # fmt: skip

CORTEX, CEREBELLUM, DEEP = range(3)
"""How a place is folded: by sheets, by finer ones, not at all."""
CODES: Final = AIR + 1

_log = logging.getLogger(__name__)

_LOWER_MARGIN = 70
_FRONT_MARGIN = 20
_SKULL_BASE_MM = 6.0
"""Below the brain, voxels nearer than this are bone; further away they are face."""


@dataclasses.dataclass(frozen=True, slots=True)
class Template:
    """The shared head.

    Attributes:
        codes: (197, 253, 259) uint16, axes left-right, back-front, down-up, 1 mm.
        ventricle_mm: Same shape, uint8: distance to the ventricles, at most 255.
        folding: Same shape, uint8: `CORTEX`, `CEREBELLUM` or `DEEP`.
        origin: Voxel of MNI (0, 0, 0).
    """

    codes: NDArray[np.uint16]
    ventricle_mm: NDArray[np.uint8]
    folding: NDArray[np.uint8]
    origin: tuple[float, float, float]


@functools.cache
def load_template() -> Template:
    """Loads the head from the user's cache folder, or builds it: 10 s, once.

    The cache is `$XDG_CACHE_HOME/mri-contrast`, by default `~/.cache/mri-contrast`;
    where it cannot be written, every process builds the head for itself.
    """
    path = _cache_folder() / f"head-{_digest()}.npz"
    if path.is_file():
        with np.load(path) as stored:
            x, y, z = stored["origin"].tolist()
            return Template(
                stored["codes"], stored["ventricle_mm"], stored["folding"], (x, y, z)
            )
    built = _build()
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **dataclasses.asdict(built))
    except OSError as error:
        _log.warning("the head cannot be kept in %s: %s", path.parent, error.strerror)
    return built


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mri-contrast"


def _digest() -> str:
    """Changes with this file and with the maps, so that no stale head is loaded."""
    ours = Path(__file__).read_bytes()
    return hashlib.sha256(ours + version("nilearn").encode()).hexdigest()[:16]


def _build() -> Template:
    grey, white, origin = _tissue_maps()
    skull_content = _intracranial(grey + white)
    outside = ndimage.distance_transform_edt(~skull_content).astype(np.float32)
    inside = ndimage.distance_transform_edt(skull_content).astype(np.float32)
    mni = _mni_grid(grey.shape, origin)
    codes = _head_codes(outside, mni)
    brain = (grey * (LEVELS - 1)).round() * LEVELS + (white * (LEVELS - 1)).round()
    codes[skull_content] = brain[skull_content].astype(np.uint16)
    fluid = skull_content & (grey + white < 0.5) & (inside > 22)
    codes[fluid & (grey + white < 0.1)] = VENTRICLE
    codes[_venous_sinus(outside, mni)] = SINUS
    stem, cistern = _brain_stem(mni)
    codes[cistern & ~(grey + white > 0.5)] = CISTERN
    codes[stem] = STEM
    distance = ndimage.distance_transform_edt(~fluid)
    return Template(
        codes, np.minimum(distance, 255).astype(np.uint8), _folding(mni), origin
    )


def _tissue_maps() -> tuple[
    NDArray[np.float32], NDArray[np.float32], tuple[float, float, float]
]:
    """Grey- and white-matter probability with room for a face and a neck."""
    from nilearn import datasets  # takes 2 s: only where the template is built

    maps = []
    for image in (
        datasets.load_mni152_gm_template(resolution=1),
        datasets.load_mni152_wm_template(resolution=1),
    ):
        margin = ((0, 0), (0, _FRONT_MARGIN), (_LOWER_MARGIN, 0))
        maps.append(np.pad(np.asarray(image.dataobj, np.float32), margin))
        offset = -image.affine[:3, 3]
    origin = (float(offset[0]), float(offset[1]), float(offset[2]) + _LOWER_MARGIN)
    grey, white = (np.clip(volume / volume.max(), 0, 1) for volume in maps)
    total = np.maximum(grey + white, 1)
    return grey / total, white / total, origin


def _intracranial(brain: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The brain with its ventricles and sulci filled and a rim of fluid."""
    near = brain > 0.2
    grown = ndimage.distance_transform_edt(~near) <= 7
    closed = ndimage.distance_transform_edt(grown) > 5.5
    return ndimage.binary_fill_holes(closed | near).astype(bool)


def _mni_grid(
    shape: tuple[int, ...], origin: tuple[float, float, float]
) -> list[NDArray[np.float32]]:
    """Broadcastable MNI coordinates (mm) of the voxels along each axis."""
    grid = np.ogrid[tuple(slice(0, side) for side in shape)]
    return [
        axis.astype(np.float32) - offset
        for axis, offset in zip(grid, origin, strict=True)
    ]


def _head_codes(
    outside: NDArray[np.float32], mni: list[NDArray[np.float32]]
) -> NDArray[np.uint16]:
    """Codes of everything outside the brain; the brain itself is overwritten."""
    below = (mni[2] < -20) | ((mni[1] > 55) & (mni[2] < 0))
    flesh = (_face(mni) | _neck(mni)) & (outside > _SKULL_BASE_MM) & below
    shell = np.minimum(outside / SHELL_STEP, SHELL_STEPS - 1)
    codes = (SHELL + shell).astype(np.uint16)
    codes[outside > SHELL_STEP * (SHELL_STEPS - 1)] = AIR
    depth = ndimage.distance_transform_edt(flesh | (outside < 9))
    soft = np.minimum(depth, SOFT_DEPTHS - 1).astype(np.uint16) * SOFT_BANDS
    soft += SOFT + _noise_bands(codes.shape)
    codes[flesh] = soft[flesh]
    for code, solid in _organs(mni):
        codes[solid & flesh] = code
    return codes


def _venous_sinus(
    outside: NDArray[np.float32], mni: list[NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """The superior sagittal sinus and the transverse ones, between brain and skull."""
    near = (outside > 0) & (outside <= 6)
    sagittal = (np.abs(mni[0]) < 5) & (mni[2] > -5) & (mni[1] < 60)
    transverse = (np.abs(mni[2] + 14) < 4) & (mni[1] < -45)
    return near & (sagittal | transverse)


def _brain_stem(
    mni: list[NDArray[np.float32]],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Midbrain, pons and medulla down to the cord, and the fluid around them.

    The probability maps fade out there, since people's stems lie in different places.
    """
    parts = (
        ((0, -24, -14), (15, 10, 12)),
        ((0, -27, -33), (16, 13, 15)),
        ((0, -37, -52), (8, 8, 17)),
        ((0, -43, -68), (6.5, 6, 16)),
    )
    stem = cistern = np.zeros((), bool)
    for centre, (x, y, z) in parts:
        stem = stem | _ball(mni, centre, (x, y, z))
        cistern = cistern | _ball(mni, centre, (x + 5, y + 5, z + 2))
    return stem, cistern


def _folding(mni: list[NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Where sulci are fine, and where there are none: nuclei around the ventricles."""
    shape = tuple(axis.size for axis in mni)
    folding = np.full(shape, CORTEX, np.uint8)
    folding[_ball(mni, (0, -64, -38), (56, 34, 27))] = CEREBELLUM
    folding[_ball(mni, (0, -8, 6), (34, 34, 20))] = DEEP
    return folding


def _noise_bands(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Quantile band of a smooth random field: what face and neck are textured by."""
    coarse = np.random.default_rng(152).standard_normal([-(-s // 5) for s in shape])
    field = ndimage.gaussian_filter(coarse.astype(np.float32), 1.5)
    field = ndimage.zoom(field, 5, order=1)[tuple(slice(0, s) for s in shape)]
    edges = np.quantile(field[::4, ::4, ::4], np.linspace(0, 1, SOFT_BANDS + 1)[1:-1])
    return np.digitize(field, edges).astype(np.uint16)


def _ball(
    mni: list[NDArray[np.float32]],
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """Voxels inside an ellipsoid given in MNI millimetres."""
    x, y, z = (
        ((axis - middle) / radius) ** 2
        for axis, middle, radius in zip(mni, centre, radii, strict=True)
    )
    return x + y + z <= 1


def _face(mni: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    skull = _ball(mni, (0, -5, -30), (80, 95, 70))
    jaw = _ball(mni, (0, 45, -80), (58, 55, 62))
    nose = _ball(mni, (0, 100, -58), (15, 17, 22))
    return skull | jaw | nose


def _neck(mni: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    across = (mni[0] / 56) ** 2 + ((mni[1] + 22) / 60) ** 2 <= 1
    return across & (mni[2] < -45)


def _organs(
    mni: list[NDArray[np.float32]],
) -> list[tuple[int, NDArray[np.bool_]]]:
    """What lies in face and neck, later ones over earlier ones."""
    organs: list[tuple[int, NDArray[np.bool_]]] = []
    for side in (-1, 1):
        organs += [
            (ORBIT, _ball(mni, (side * 32, 55, -34), (19, 30, 17))),
            (EYE, _ball(mni, (side * 32, 70, -34), (12.5, 12.5, 12.5))),
            (AIRWAY, _ball(mni, (side * 28, 58, -60), (14, 17, 15))),
        ]
    organs += [
        (MARROW, _ball(mni, (0, 78, -106), (34, 16, 9))),  # jaw
        (MARROW, _ball(mni, (0, 6, -46), (10, 7, 14))),  # clivus
        (TONGUE, _ball(mni, (0, 45, -88), (23, 31, 19))),
        (AIRWAY, _ball(mni, (0, 46, -68), (18, 28, 4))),  # between tongue and palate
    ]
    nose = _ball(mni, (0, 65, -52), (12, 32, 20))
    throat = ((mni[0] / 11) ** 2 + ((mni[1] - 12) / 8) ** 2 <= 1) & (mni[2] < -50)
    organs += [(AIRWAY, nose), (AIRWAY, throat)]
    spine = ((mni[0] / 15) ** 2 + ((mni[1] + 22) / 12) ** 2 <= 1) & (mni[2] < -68)
    disc = np.mod(mni[2], 19) < 4
    canal = ((mni[0] / 11) ** 2 + ((mni[1] + 45) / 9) ** 2 <= 1) & (mni[2] < -60)
    cord = ((mni[0] / 6) ** 2 + ((mni[1] + 45) / 5) ** 2 <= 1) & (mni[2] < -60)
    organs += [(VERTEBRA, spine), (DISC, spine & disc)]
    return [*organs, (CORD_FLUID, canal), (CORD, cord)]
