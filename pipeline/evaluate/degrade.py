"""Spoils the slices of a scan, by as much as is asked for: what is hard, made.

Drawing is separate from applying, and all that is drawn comes from the scan's name and
the number of the draw: the same scan is spoiled alike wherever it stands.
"""

import dataclasses
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_contrast.slices import SIZE, area_weights

NOISE: Final = 0.03
"""Standard deviation on the 0-1 scale, at most, at level 1; 0.03 is a poor scan."""

BLUR: Final = 0.6
"""Standard deviation in pixels, at most, at level 1."""

BIAS: Final = 0.12
"""Standard deviation of the field's logarithm, by coefficient, at level 1."""

GAMMA: Final = 0.12
"""Standard deviation of the exponent's logarithm at level 1."""

SHRINK: Final = 0.4
"""At level 1 a pixel grows to at most 1.4 pixels."""

FEWER: Final = 0.7
"""At level 1 the number of slices is divided by at most 1.7."""


@dataclasses.dataclass(frozen=True, slots=True)
class Degradation:
    """What is done to the slices of one scan; as it stands here, nothing.

    Attributes:
        noise: Standard deviation of both channels of Rician noise, on the 0-1 scale.
        blur: Standard deviation of the blur in pixels.
        bias: Coefficients of x, y, xy, x² and y² of a smooth field's logarithm, x and
            y in [-1, 1].
        gamma: Exponent of the intensities.
        shrink: Side of a pixel of the coarser grid, in pixels; 1 keeps it.
        keep: Share of the slices that is kept, in (0, 1].
        grain: Seed of the noise.
    """

    noise: float = 0.0
    blur: float = 0.0
    bias: tuple[float, ...] = (0.0,) * 5
    gamma: float = 1.0
    shrink: float = 1.0
    keep: float = 1.0
    grain: int = 0


def sample(scan: str, level: float, draw: int = 0) -> Degradation:
    """Draws what is done to a scan; at twice the level the same is twice as strong.

    Args:
        scan: Its name.
        level: How much; 0 does nothing.
        draw: Another number spoils the same scan in another way.
    """
    rng = np.random.default_rng([zlib.crc32(scan.encode()), draw])
    return Degradation(
        noise=level * NOISE * rng.random(),
        blur=level * BLUR * rng.random(),
        bias=tuple((level * BIAS * rng.standard_normal(5)).tolist()),
        gamma=float(np.exp(level * GAMMA * rng.standard_normal())),
        shrink=1 + level * SHRINK * rng.random(),
        keep=1 / (1 + level * FEWER * rng.random()),
        grain=int(rng.integers(2**31)),
    )


def apply(slices: NDArray[np.uint8], degradation: Degradation) -> NDArray[np.uint8]:
    """Spoils slices: field, exponent, blur, coarser grid, noise, in this order.

    Args:
        slices: (n, 150, 150) uint8, n >= 1.
        degradation: What is done.

    Returns:
        (m, 150, 150) uint8, 1 <= m <= n: those that are kept, evenly spread.
    """
    kept = max(1, round(len(slices) * degradation.keep))
    chosen = np.linspace(0, len(slices) - 1, kept).round().astype(int)
    shown = slices[chosen].astype(np.float32) / 255
    if any(degradation.bias):
        shown = np.clip(shown * _field(degradation.bias), 0, 1)
    if degradation.gamma != 1:
        shown = shown**degradation.gamma
    if degradation.blur > 0:
        spread = (0, degradation.blur, degradation.blur)
        shown = ndimage.gaussian_filter(shown, spread)
    side = max(1, round(SIZE / degradation.shrink))
    if side < SIZE:
        down, up = area_weights(SIZE, side), area_weights(side, SIZE)
        coarse = down @ shown @ down.T
        shown = up @ coarse @ up.T
    if degradation.noise > 0:
        shown = _rician(shown, degradation)
    return np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)


def _field(bias: tuple[float, ...]) -> NDArray[np.float32]:
    y, x = np.meshgrid(*(np.linspace(-1, 1, SIZE),) * 2, indexing="ij")
    terms = (x, y, x * y, x**2, y**2)
    logarithm = sum(weight * term for weight, term in zip(bias, terms, strict=True))
    return np.exp(logarithm - np.mean(logarithm)).astype(np.float32)


def _rician(shown: Any, degradation: Degradation) -> NDArray[np.float32]:
    """Magnitude of the signal with noise in both channels (Gudbjartsson 1995)."""
    rng = np.random.default_rng(degradation.grain)
    real, imaginary = rng.standard_normal((2, *shown.shape), np.float32)
    noise = np.float32(degradation.noise)
    return np.hypot(shown + noise * real, noise * imaginary)
