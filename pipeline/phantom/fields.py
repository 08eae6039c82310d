"""Random fields, cheap enough to be drawn for every scan."""

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.phantom.anatomy import spline_weights

Volume = NDArray[np.float32]

_STORE: Final = 1 << 23
"""Normal numbers kept per process (32 MB): drawing a volume's anew takes 25 ms."""


def smooth(rng: np.random.Generator, shape: tuple[int, ...], feature: float) -> Volume:
    """A smooth field of about unit variance: cubic B-splines between random nodes.

    Args:
        rng: Where the nodes come from.
        shape: Of the field, any number of axes.
        feature: Distance of the nodes in voxels: half the size of a blob.
    """
    nodes = [max(4, round(side / feature) + 3) for side in shape]
    field = rng.standard_normal(nodes, dtype=np.float32)
    for axis, side in enumerate(shape):
        weights = spline_weights(nodes[axis], side)
        field = np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis)
    # A spline between unit normals has 0.69 of their deviation along each axis.
    return np.ascontiguousarray(field, np.float32) / np.float32(0.69 ** len(shape))


@functools.cache
def _normals() -> Volume:
    return np.random.default_rng(11).standard_normal(_STORE, dtype=np.float32)


def white(rng: np.random.Generator, shape: tuple[int, ...]) -> Volume:
    """White noise of unit variance: a view, read-only, of numbers drawn once."""
    count = int(np.prod(shape))
    start = int(rng.integers(0, max(_STORE - count, 0) + 1))
    numbers = _normals()[start : start + count]
    if count > _STORE:  # 203 voxels cubed: what is kept is repeated
        numbers = np.resize(numbers, count)
    view = numbers.reshape(shape)
    view.flags.writeable = False
    return view


_TILE: Final = 128


@functools.cache
def _fine_tile() -> Volume:
    """(128, 128, 128) periodic, of unit variance: grains of some 3 voxels."""
    noise = np.random.default_rng(12).standard_normal((_TILE,) * 3, dtype=np.float32)
    grains = ndimage.gaussian_filter(noise, 1.2, mode="wrap")
    return np.asarray(grains / grains.std(), np.float32)


def fine(rng: np.random.Generator, shape: tuple[int, ...]) -> Volume:
    """Fine smooth noise of unit variance: a periodic one from a random place on."""
    places = [(int(rng.integers(_TILE)) + np.arange(side)) % _TILE for side in shape]
    return _fine_tile()[np.ix_(*places)]


def rician(rng: np.random.Generator, image: Volume, sigma: float) -> Volume:
    """Magnitudes of an image with complex noise."""
    noise = np.float32(sigma)
    real, imaginary = white(rng, image.shape), white(rng, image.shape)
    return np.hypot(image + noise * real, noise * imaginary)


def blocks(image: Volume, factor: int) -> Volume:
    """Means over cubes of `factor` voxels: a coarser grid; the rest is cut off."""
    for axis in range(image.ndim):
        lined = np.moveaxis(image, axis, 0)
        side = len(lined) // factor * factor
        total = lined[0:side:factor].copy()
        for start in range(1, factor):
            total += lined[start:side:factor]
        image = np.moveaxis(total, 0, axis)
    image = image / np.float32(factor**image.ndim)
    return np.ascontiguousarray(image, np.float32)


def unblock(image: Volume, factor: int) -> Volume:
    """Every voxel becomes a cube of `factor` voxels."""
    for axis in range(image.ndim):
        image = np.repeat(image, factor, axis)
    return image
