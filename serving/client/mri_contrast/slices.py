"""Cuts a scan into the slices that the network sees, in training and in use alike.

Every step is made of simple operations (strided sample, counts, sorted values, two
weight matrices), so that the exported model can repeat it for single images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import Scan

VERSION = 1
"""Rises whenever the same scan would give other slices; kept in every manifest."""

SIZE = 150
"""Height and width of a slice in pixels, as in the study that this grew from."""

SLICES_PER_PLANE = 8
MAX_SPACING_RATIO = 3.0
"""In-plane spacings further apart than this make a plane of thick bars: not cut."""

MIN_SIDE = 16
"""A plane with a shorter side, in voxels, shows no anatomy: not cut."""

SAMPLE_SIDE = 64
"""The window is found on at most this many voxels an axis: 3 ms for 256³, where
percentiles of all voxels take 200 ms."""

LOW_QUANTILE = 0.01
HIGH_QUANTILE = 0.98
"""Of the centre of the head, where scalp fat cannot reach the window."""

CENTRE = 0.6
"""Slices come from this share of the head's inner extent along the plane's axis."""


def cut(scan: Scan) -> NDArray[np.uint8]:
    """Cuts a scan into central slices of every usable plane.

    The intensity window is taken once, on the volume. A plane is usable where its
    in-plane spacings differ by at most a factor of 3 and its sides have at least
    16 voxels; it gives at most 8 slices. Pixels keep their physical aspect and are
    padded with black to a square.

    Args:
        scan: (i, j, k) voxels of any real dtype; NaN and infinities count as dark.

    Returns:
        (n, 150, 150) uint8 with 1 <= n <= 24, axis 0's slices first.

    Raises:
        UnreadableScan: The scan is blank or no plane is usable.
    """
    return np.concatenate(list(cut_planes(scan).values()))


def cut_planes(scan: Scan) -> dict[int, NDArray[np.uint8]]:
    """Cuts a scan as `cut` does, keeping the planes apart.

    Args:
        scan: (i, j, k) voxels of any real dtype.

    Returns:
        For each axis that the scan was cut along: (n, 150, 150) uint8, 1 <= n <= 8.

    Raises:
        UnreadableScan: The scan is blank or no plane is usable.
    """
    planes = _usable_planes(scan)
    if not planes:
        raise UnreadableScan(
            f"a scan of {scan.voxels.shape} voxels with spacing {scan.spacing} mm has "
            f"no usable plane; both sides need {MIN_SIDE} voxels or more and spacings "
            f"at most {MAX_SPACING_RATIO:g} times apart"
        )
    window = find_window(scan.voxels)
    return {
        axis: _squares(_windowed(_central(scan.voxels, window, axis), window), spacing)
        for axis, spacing in planes
    }


class Window:
    """Where the head lies and which intensities show it.

    Attributes:
        low: Shown black.
        high: Shown white.
        extent: For each axis, first and last voxel of the head's inner 80 %.
    """

    __slots__ = ("extent", "high", "low")

    def __init__(
        self, low: float, high: float, extent: list[tuple[float, float]]
    ) -> None:
        self.low = low
        self.high = high
        self.extent = extent


def find_window(voxels: NDArray[np.generic]) -> Window:
    """Finds the intensity window of a volume from its centre.

    Bright scalp fat can be four times as bright as brain, so the window's upper end
    is taken inside an ellipsoid that spans the inner 80 % of the head's voxels
    along each axis, where there is hardly any fat.

    Args:
        voxels: (i, j, k) real; NaN and infinities count as the darkest value.

    Returns:
        The window.

    Raises:
        UnreadableScan: All voxels are equal, or none is finite.
    """
    strides = [-(-side // SAMPLE_SIDE) for side in voxels.shape]
    with np.errstate(over="ignore"):  # what float32 cannot hold is not finite
        sample = voxels[:: strides[0], :: strides[1], :: strides[2]].astype(np.float32)
    finite = np.isfinite(sample)
    if not finite.any():
        raise UnreadableScan("the scan holds no finite voxel; export it again")
    sample = np.where(finite, sample, sample[finite].min())
    low = _quantile(sample, LOW_QUANTILE)
    above = np.maximum(sample - low, 0)
    head = above > above.mean(dtype=np.float64) / 2
    if not head.any():
        raise UnreadableScan("the scan is blank: its voxels are all equal")
    extent = [_inner_extent(head, axis) for axis in range(3)]
    centre = sample[head & _ellipsoid(extent, sample.shape)]
    high = _quantile(centre if centre.size else sample[head], HIGH_QUANTILE)
    return Window(
        low,
        high,
        [
            (first * stride, last * stride)
            for (first, last), stride in zip(extent, strides, strict=True)
        ],
    )


def _quantile(values: NDArray[np.float32], quantile: float) -> float:
    """The value at a quantile without interpolation: the same in numpy and in TF."""
    flat = values.ravel()
    rank = int(quantile * (flat.size - 1))
    return float(np.partition(flat, rank)[rank])


def _inner_extent(head: NDArray[np.bool_], axis: int) -> tuple[int, int]:
    """First and last index between which the inner 80 % of the head's voxels lie."""
    others = tuple(other for other in range(3) if other != axis)
    reached = np.cumsum(head.sum(axis=others))
    total = int(reached[-1])
    first = int(np.searchsorted(reached * 10, total))
    last = int(np.searchsorted(reached * 10, total * 9))
    return first, last


def _ellipsoid(
    extent: list[tuple[int, int]], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """(i, j, k) bool: inside the ellipsoid that the extents span."""
    distance = np.zeros(shape, np.float32)
    for axis, (first, last) in enumerate(extent):
        radius = (last - first + 1) / 2
        offset = (np.arange(shape[axis]) - (first + last) / 2) / radius
        sides = [-1 if other == axis else 1 for other in range(3)]
        distance = distance + (offset**2).astype(np.float32).reshape(sides)
    return distance <= 1


def _usable_planes(scan: Scan) -> list[tuple[int, tuple[float, float]]]:
    """Axes along which to cut, each with the spacing (mm) of the plane's sides."""
    planes = []
    for axis in range(3):
        sides = [other for other in range(3) if other != axis]
        spacing = (scan.spacing[sides[0]], scan.spacing[sides[1]])
        long_enough = min(scan.voxels.shape[side] for side in sides) >= MIN_SIDE
        if long_enough and max(spacing) <= MAX_SPACING_RATIO * min(spacing):
            planes.append((axis, spacing))
    return planes


def _central(
    voxels: NDArray[np.generic], window: Window, axis: int
) -> NDArray[np.generic]:
    """(n, h, w): at most 8 slices, evenly spread over the head's centre."""
    first, last = window.extent[axis]
    middle, reach = (first + last) / 2, CENTRE * (last - first) / 2
    positions = np.linspace(middle - reach, middle + reach, SLICES_PER_PLANE)
    side = voxels.shape[axis]
    indices = sorted({min(max(round(float(at)), 0), side - 1) for at in positions})
    # One at a time: np.take would first copy a volume that is not in C order.
    return np.stack([np.moveaxis(voxels, axis, 0)[index] for index in indices])


def _windowed(planes: NDArray[np.generic], window: Window) -> NDArray[np.float32]:
    """(n, h, w) float32 in [0, 1]; what is not finite is black."""
    scale = max(window.high - window.low, float(np.finfo(np.float32).tiny))
    with np.errstate(invalid="ignore", over="ignore"):
        shown = (planes.astype(np.float32) - np.float32(window.low)) / np.float32(scale)
    finite = np.isfinite(shown)
    return np.clip(shown if finite.all() else np.where(finite, shown, 0), 0, 1)


def _squares(
    planes: NDArray[np.float32], spacing: tuple[float, float]
) -> NDArray[np.uint8]:
    """Resizes by area to 150 pixels on the longer side and pads to a square."""
    _, rows, columns = planes.shape
    extent = (rows * spacing[0], columns * spacing[1])
    height, width = (
        max(1, min(SIZE, round(SIZE * side / max(extent)))) for side in extent
    )
    resized = area_weights(rows, height) @ planes @ area_weights(columns, width).T
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    squares = np.zeros((len(planes), SIZE, SIZE), np.uint8)
    squares[:, top : top + height, left : left + width] = np.rint(resized * 255)
    return squares


def area_weights(source: int, target: int) -> NDArray[np.float32]:
    """Weights of an area-true resize along one axis.

    Args:
        source: Length before, in pixels.
        target: Length after, in pixels.

    Returns:
        (target, source) float32; each row sums to 1 and holds the share of every
        source pixel in one target pixel.
    """
    ratio = source / target
    start = np.arange(target)[:, None] * ratio
    pixel = np.arange(source)[None, :]
    overlap = np.minimum(start + ratio, pixel + 1) - np.maximum(start, pixel)
    return (np.clip(overlap, 0, None) / ratio).astype(np.float32)
