"""Arrays of receiving loops around the head: bright beside them, dim in the middle.

What a scanner shows without a correction for it: scalp brighter than all else, outer
brain brighter than deep brain, a neck that fades.
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.anatomy import FIELD_HIGH_MM, FIELD_LOW_MM, upsample

CENTRE_MM: Final = (0.0, -12.0, 5.0)
"""Middle of the head, where every array has sensitivity 1."""

_HALF_MM: Final = (80.0, 102.0, 88.0)
"""From there to the skin: left and right, back and front, up."""

_LOWEST: Final = -0.5
"""No loop lies deeper under the centre, by sine of the angle: shoulders are there."""

_NODES: Final = (11, 13, 13)


@dataclasses.dataclass(frozen=True, slots=True)
class Array:
    """Loops on a helmet.

    Attributes:
        loops: (n, 3) centres, mm in MNI axes.
        radius_mm: Of each loop.
        strength: Exponent on the sensitivity: 0 where the maker's software has taken
            it out, 1 where nothing was done.
    """

    loops: NDArray[np.float64]
    radius_mm: float
    strength: float


def sample_array(rng: np.random.Generator) -> Array | None:
    """Draws an array: 6 to 32 loops, 5 to 40 mm off the skin; None in half of all."""
    used = rng.random() < 0.5
    directions = rng.normal(0, 1, (int(rng.integers(6, 33)), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    below = directions[:, 2] < _LOWEST
    directions[below, 2] *= -1
    half = np.array(_HALF_MM) + rng.uniform(5, 40)
    drawn = Array(
        loops=np.array(CENTRE_MM) + directions * half,
        radius_mm=float(rng.uniform(25, 70)),
        strength=float(rng.uniform(0.15, 1.1)),
    )
    return drawn if used else None


def sensitivity(
    array: Array, shape: tuple[int, ...], voxel_mm: float
) -> NDArray[np.float32]:
    """Root of the loops' sum of squares, each with its field on its own axis.

    A loop of radius a has a² / (a² + d²)^(3/2) at a distance d on its axis (Biot and
    Savart), taken for all directions.

    Args:
        array: The loops.
        shape: Of the grid: left-right, back-front, down-up, to the top of the head.
        voxel_mm: Its spacing.

    Returns:
        float32 of this shape, positive, 1 in the middle of the head.
    """
    low = [*FIELD_LOW_MM, FIELD_HIGH_MM[2] - shape[2] * voxel_mm]
    axes = [
        start + np.linspace(0, side * voxel_mm, nodes)
        for start, side, nodes in zip(low, shape, _NODES, strict=True)
    ]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    logarithm = _logarithm(array, places) - _logarithm(array, np.array(CENTRE_MM))
    field = upsample((array.strength * logarithm).astype(np.float32), shape)
    return np.exp(field, out=field)


def _logarithm(array: Array, places: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((places[..., None, :] - array.loops) ** 2).sum(-1)
    fields = (array.radius_mm**2 + squared) ** -1.5
    return 0.5 * np.log((fields**2).sum(-1))
