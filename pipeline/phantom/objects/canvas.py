"""Painting of solids into a small volume whose axes run from -1 to 1."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom import fields
from pipeline.phantom.fields import Volume

Numbers = Sequence[float] | NDArray[np.floating]

Maker = Callable[[np.random.Generator], tuple[Volume, list[float]]]
"""Draws an image, (i, j, k) float32 and not negative, and its spacing in mm."""


def grid(sides: Sequence[int]) -> list[Volume]:
    """Broadcastable coordinates from -1 to 1 along each axis."""
    return [
        np.linspace(-1, 1, side, dtype=np.float32).reshape(
            [-1 if other == axis else 1 for other in range(len(sides))]
        )
        for axis, side in enumerate(sides)
    ]


class Canvas:
    """A volume to paint on.

    Attributes:
        image: (i, j, k) float32, 0 where nothing was painted.
        wobble: Smooth field that makes outlines irregular, about ±1.
    """

    def __init__(
        self, rng: np.random.Generator, sides: tuple[int, int, int], feature: float
    ) -> None:
        self.image = np.zeros(sides, np.float32)
        self.wobble = fields.smooth(rng, sides, feature)
        self._grid = grid(sides)

    def solid(
        self,
        centre: Numbers,
        radii: Numbers,
        value: float,
        *,
        wobble: float = 0.1,
        power: float = 2.0,
        where: NDArray[np.bool_] | None = None,
    ) -> None:
        """Paints an ellipsoid (power 2) to a box (power 20).

        Args:
            centre: Of the solid, in -1 to 1 along each axis.
            radii: Likewise; an infinite one makes a cylinder.
            value: What is painted.
            wobble: How irregular the outline is.
            power: Of the distances: 2 for an ellipsoid, more for a box.
            where: (i, j, k) bool; only there is painted.
        """
        box, parts = [], []
        for axis, middle, radius in zip(self._grid, centre, radii, strict=True):
            line = np.abs((axis - np.float32(middle)) / np.float32(radius))
            near = np.flatnonzero(line.ravel() <= 1 + 2 * wobble)
            if not near.size:
                return
            box.append(slice(int(near[0]), int(near[-1]) + 1))
            parts.append(line.ravel()[box[-1]] ** np.float32(power))
        place = (box[0], box[1], box[2])
        distance = (
            parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :]
        )
        inside = distance + np.float32(wobble) * self.wobble[place] < 1
        if where is not None:
            inside &= where[place]
        self.image[place][inside] = value

    def shell(
        self,
        centre: Numbers,
        radii: Numbers,
        values: Numbers,
        *,
        thickness: float,
        wobble: float = 0.05,
    ) -> None:
        """Paints solids one inside the other, each smaller by `thickness`."""
        for layer, value in enumerate(values):
            smaller = [radius * (1 - thickness) ** layer for radius in radii]
            self.solid(centre, smaller, value, wobble=wobble)


Signal = NDArray[np.float32]
"""What each of `physics.TISSUES` shines."""

Plan = Callable[[Canvas, Signal, np.random.Generator], None]
"""Paints a part of a body."""

ALONG: Final = np.inf
"""A radius without end: the solid runs through all slices."""
