"""The scanner: from an anatomy and a protocol to the voxels that a file would hold."""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_contrast.scans import Scan
from pipeline.phantom import (
    artefacts,
    coil,
    composition,
    effects,
    fields,
    physics,
    template,
)
from pipeline.phantom.anatomy import Anatomy, upsample
from pipeline.phantom.other_protocols import WITHOUT_MAGNET
from pipeline.phantom.protocols import Protocol

_FWHM_TO_SIGMA: Final = 0.4247  # 1 / (2 sqrt(2 ln 2))
_PERMUTATIONS: Final[list[tuple[int, int, int]]] = [
    *((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
]


_POINT_SPREAD: Final = (0.3, 0.75)
"""Gaussian sigma (voxels) of a voxel's own extent: an anatomy is rendered to the
nearest millimetre, and its edges would be jagged as no scanner's are."""

_LEAST_SIDE: Final = 24
"""Voxels that a crop leaves of every side, so that there is something to see."""

EVEN: Final = (*WITHOUT_MAGNET, "T1/two-inversions")
"""Families that no coil receives, or whose quotient takes the coil out."""

_MARGINS: Final = ((0.0, 0.25), (-0.15, 0.0), (-0.6, -0.15))


@dataclasses.dataclass(frozen=True, slots=True)
class Acquisition:
    """How one scan is taken and stored.

    Attributes:
        axis: Slice direction in subject axes: 0 sagittal, 1 coronal, 2 axial.
        thickness: Voxels of the anatomy that one slice averages; 1 for volumes.
        gap: Voxels left out between slices.
        blur: In-plane Gaussian sigma in voxels.
        array: The loops that receive; None where their sensitivity is even.
        bias: (4, 4, 4) logarithm of what is uneven besides, at spline nodes.
        texture: (20, 24, 24) the same on a fine grid: no tissue is uniform.
        grain: Strength of a texture of some 3 mm, relative to the signal.
        noise: Standard deviation of each channel, relative to grey matter.
        noise_seed: What the noise is drawn from.
        clean_background: The maker's software has set the air to 0.
        stripped: `""`; `"face"`, defaced; `"skull"`, what lies inside the skull is
            left; `"brain"`, the fluid on the brain's surface is gone, too.
        gamma: Exponent on the brightness.
        shading: Slice-to-slice brightness differences (standard deviation).
        margin: Share of empty border added to (or, below 0, cut from) the sides.
        artefact: What went wrong: one of `artefacts.NAMES` or, held back for sealed
            tests, of `artefacts.SEALED`; empty in most scans.
        resampled: Thick slices were interpolated to small voxels afterwards.
        permutation: Order in which the axes are stored.
        flips: Which stored axes are reversed.
        peak: Largest stored value; 0 stores float32.
    """

    axis: int
    thickness: int
    gap: int
    blur: float
    array: coil.Array | None
    bias: NDArray[np.float32]
    texture: NDArray[np.float32]
    grain: float
    noise: float
    noise_seed: int
    clean_background: bool
    stripped: str
    gamma: float
    shading: NDArray[np.float32]
    margin: tuple[float, float, float]
    artefact: str
    resampled: bool
    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    peak: int


def sample_acquisition(
    protocol: Protocol,
    voxel_mm: float,
    rng: np.random.Generator,
    *,
    sealed: bool = False,
) -> Acquisition:
    """Draws how a protocol is carried out on a grid of `voxel_mm`.

    Args:
        protocol: What is carried out.
        voxel_mm: Spacing of the anatomy.
        rng: Where the draw comes from.
        sealed: With the artefacts that no training sees.
    """
    thick = 0.0 if protocol.volumetric else float(rng.uniform(2.5, 6.5))
    thickness = max(1, round(thick / voxel_mm))
    gap = int(thickness > 1 and rng.random() < 0.3)
    axis = int(rng.choice(3, p=[0.18, 0.12, 0.7]))
    bias = rng.normal(0, 1, (4, 4, 4)) * rng.choice([rng.uniform(0, 0.2), 0.4])
    texture = rng.normal(0, 1, (20, 24, 24)) * rng.uniform(0, 0.08)
    taken = Acquisition(
        axis=axis,
        thickness=thickness,
        gap=gap,
        array=None,
        blur=float(
            np.hypot(rng.uniform(*_POINT_SPREAD), _sigma(protocol.blur_mm, voxel_mm))
        ),
        bias=bias.astype(np.float32),
        texture=texture.astype(np.float32),
        grain=float(rng.uniform(0, 0.08)),
        noise=float(rng.choice([rng.uniform(0, 0.02), rng.uniform(0.02, 0.08)])),
        noise_seed=int(rng.integers(0, 2**63)),
        clean_background=bool(rng.random() < 0.55),
        stripped=str(
            rng.choice(["", "face", "skull", "brain"], p=[0.62, 0.1, 0.1, 0.18])
        ),
        gamma=float(np.exp(rng.normal(0, 0.1))),
        shading=(
            rng.normal(0, 0.04, 512) * (thickness > 1 and rng.random() < 0.3)
        ).astype(np.float32),
        margin=_sample_margin(rng),
        artefact=artefacts.sample_artefact(rng, sealed=sealed),
        resampled=bool(thickness > 1 and rng.random() < 0.3),
        permutation=_PERMUTATIONS[rng.integers(len(_PERMUTATIONS))],
        flips=(rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.5),
        peak=int(rng.choice([0, 255, 1000, 4095, 30000])),
    )
    if protocol.family in EVEN:
        return taken
    return dataclasses.replace(taken, array=coil.sample_array(rng))


def _sample_margin(rng: np.random.Generator) -> tuple[float, float, float]:
    """Most fields of view have room around the head or cut into it; some are crops."""
    low, high = _MARGINS[rng.choice(len(_MARGINS), p=[0.5, 0.43, 0.07])]
    first, second, third = rng.uniform(low, high, 3).tolist()
    return first, second, third


def _sigma(blur_mm: float, voxel_mm: float) -> float:
    return blur_mm * _FWHM_TO_SIGMA / voxel_mm


def acquire(anatomy: Anatomy, protocol: Protocol, acquisition: Acquisition) -> Scan:
    """Takes a scan.

    Args:
        anatomy: Whom it is taken of.
        protocol: With what sequence.
        acquisition: How it is carried out.

    Returns:
        A scan with spacing in mm, its axes in the stored order.
    """
    whole = protocol.effect in effects.WHOLE_HEAD
    image = _weighted(anatomy, protocol, "" if whole else acquisition.stripped)
    effect_rng = np.random.default_rng([acquisition.noise_seed, 1])
    image = effects.apply_effect(image, protocol.effect, effect_rng)
    if protocol.effect in effects.COMPUTED:
        return store(image, [anatomy.voxel_mm] * 3, acquisition)
    if acquisition.array is not None:
        array = acquisition.array
        image = image * coil.sensitivity(array, image.shape, anatomy.voxel_mm)
    image, thick_mm = _slabs(image, anatomy.voxel_mm, acquisition)
    if acquisition.blur > 0.15:
        sigma = [acquisition.blur] * 3
        sigma[acquisition.axis] = 0 if acquisition.thickness > 1 else acquisition.blur
        image = ndimage.gaussian_filter(image, sigma, truncate=2.5)
    image = artefacts.spoil(image, acquisition.artefact, acquisition.noise_seed)
    image = receive(image, acquisition)
    spacing = [anatomy.voxel_mm] * 3
    spacing[acquisition.axis] = thick_mm
    if acquisition.resampled:
        image, spacing = _interpolated(image, spacing, acquisition.axis)
    return store(image, spacing, acquisition)


def _interpolated(
    image: NDArray[np.float32], spacing: list[float], axis: int
) -> tuple[NDArray[np.float32], list[float]]:
    """Voxels as small along the slices' axis as within them, as registration leaves."""
    fine = min(spacing)
    sides = image.shape[axis], round(image.shape[axis] * spacing[axis] / fine)
    position = (np.arange(sides[1]) + 0.5) * sides[0] / sides[1] - 0.5
    distance = np.abs(position.clip(0, sides[0] - 1)[:, None] - np.arange(sides[0]))
    weights = np.maximum(1 - distance, 0).astype(np.float32)
    image = np.moveaxis(np.tensordot(weights, image, (1, axis)), 0, axis)
    return np.ascontiguousarray(image), [fine] * 3


def _weighted(
    anatomy: Anatomy, protocol: Protocol, stripped: str
) -> NDArray[np.float32]:
    """(i, j, k) float32: what every voxel shines, by tissue."""
    palette = anatomy.fractions @ protocol.signal
    kept = np.ones(template.CODES, bool)
    if stripped == "face":
        kept[template.SOFT : template.VENTRICLE] = False
    elif stripped:
        kept[template.SHELL :] = False
        kept[[template.VENTRICLE, template.STEM, template.CISTERN]] = True
    palette *= np.repeat(kept, composition.FOLDS)
    if stripped == "brain":
        solid = anatomy.fractions[:, [physics.WHITE, physics.GREY]].sum(1) > 0.05
        ventricle = template.VENTRICLE * composition.FOLDS
        solid[ventricle : ventricle + composition.FOLDS] = True
        palette *= solid
    image = palette.astype(np.float32)[anatomy.rows]
    for share, tissue in (
        (anatomy.lesion, physics.LESION),
        (anatomy.core, physics.CORE),
    ):
        if share is not None:
            image += share * (protocol.signal[tissue] - image)
    return image


def _slabs(
    image: NDArray[np.float32], voxel_mm: float, acquisition: Acquisition
) -> tuple[NDArray[np.float32], float]:
    """Averages voxels into thick slices; also returns their distance in mm."""
    thickness, axis = acquisition.thickness, acquisition.axis
    step = thickness + acquisition.gap
    if step == 1:
        return image, voxel_mm
    count = image.shape[axis] // step
    image = np.moveaxis(image, axis, 0)[: count * step]
    slabs = image.reshape(count, step, *image.shape[1:])[:, :thickness].mean(1)
    return np.moveaxis(slabs, 0, axis), voxel_mm * step


def receive(
    image: NDArray[np.float32], acquisition: Acquisition
) -> NDArray[np.float32]:
    """Coil bias, slice shading, Rician noise, gamma and a cleaned background.

    Args:
        image: (i, j, k) float32, signed.
        acquisition: How it is received.

    Returns:
        (i, j, k) float32 magnitudes.
    """
    field = upsample(acquisition.bias, image.shape)
    field += upsample(acquisition.texture, image.shape)
    rng = np.random.default_rng(acquisition.noise_seed)
    field += np.float32(acquisition.grain) * fields.fine(rng, image.shape)
    received = image * np.exp(field, out=field)
    if acquisition.shading.any():
        sides = [-1 if axis == acquisition.axis else 1 for axis in range(3)]
        shade = acquisition.shading[: image.shape[acquisition.axis]]
        received *= 1 + shade.reshape(sides)
    scale = np.float32(acquisition.noise)
    received += scale * fields.white(rng, image.shape)
    received = np.hypot(received, scale * fields.white(rng, image.shape))
    if acquisition.clean_background:
        received *= ndimage.uniform_filter(np.abs(image), 3) > 0.02
    return np.asarray(received ** np.float32(acquisition.gamma), np.float32)


def store(
    image: NDArray[np.float32], spacing: list[float], acquisition: Acquisition
) -> Scan:
    """Field of view, axis order and number type: what ends up in the file."""
    for axis, share in enumerate(acquisition.margin):
        border = round(abs(share) * image.shape[axis])
        if share < 0:
            border = min(border, max(0, image.shape[axis] - _LEAST_SIDE))
        if axis == acquisition.axis or not border:
            continue
        if share > 0:
            width = [(0, 0)] * 3
            width[axis] = (border // 2, border - border // 2)
            image = np.pad(image, width)
        else:
            image = np.take(
                image, range(border // 2, image.shape[axis] - border // 2), axis
            )
    if acquisition.peak:
        scale = acquisition.peak / max(float(image.max()), 1e-6)
        kind = np.uint8 if acquisition.peak < 256 else np.int16
        image = np.rint(image * scale).astype(kind)
    image = np.transpose(image, acquisition.permutation)
    image = image[tuple(slice(None, None, -1 if flip else 1)
                        for flip in acquisition.flips)]  # fmt: skip
    ordered = [spacing[axis] for axis in acquisition.permutation]
    return Scan(np.ascontiguousarray(image), (ordered[0], ordered[1], ordered[2]))
