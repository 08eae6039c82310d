"""What goes wrong in a scanner: ghosts, ringing, folding; more for sealed tests.

Each artefact is a pure function of the image and a seed.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_Image = NDArray[np.float32]

CLEAN_SHARE: Final = 0.7
"""Share of scans without any artefact in training."""

SEALED_CLEAN_SHARE: Final = 0.4


def sample_artefact(rng: np.random.Generator, *, sealed: bool = False) -> str:
    """Draws what goes wrong: a name of `NAMES`, of `SEALED`, or nothing.

    Args:
        rng: Where the draw comes from.
        sealed: Draw from the artefacts that no training sees.
    """
    clean, names = (SEALED_CLEAN_SHARE, SEALED) if sealed else (CLEAN_SHARE, NAMES)
    if rng.random() < clean:
        return ""
    return str(rng.choice(list(names)))


def spoil(image: _Image, artefact: str, seed: int) -> _Image:
    """Applies an artefact.

    Args:
        image: (i, j, k) float32, signed.
        artefact: A name of `NAMES` or `SEALED`; empty changes nothing.
        seed: Decides strength, place and direction.
    """
    if not artefact:
        return image
    apply = (NAMES | SEALED)[artefact]
    return apply(image, np.random.default_rng([seed, 2]))


def _ghost(image: _Image, rng: np.random.Generator) -> _Image:
    """Faint copies along the phase direction, as movement and pulsation leave."""
    axis = int(rng.integers(3))
    ghosted = image.copy()
    shift = rng.uniform(0.1, 0.5)
    for number in range(1, int(rng.integers(2, 4))):
        strength = np.float32(rng.uniform(0.02, 0.12) / number)
        step = round(shift * number * image.shape[axis])
        for sign in (-1, 1):
            ghosted += strength * np.roll(image, sign * step, axis)
    return ghosted


def _ringing(image: _Image, rng: np.random.Generator) -> _Image:
    """Gibbs' ripples along one direction: high frequencies cut off sharply."""
    axis, cut = int(rng.integers(3)), rng.uniform(0.45, 0.8)
    taps = np.sinc(np.arange(-7, 8) * cut) * cut
    kernel = (taps / taps.sum()).astype(np.float32)
    return np.asarray(ndimage.correlate1d(image, kernel, axis, mode="nearest"))


def _wrap(image: _Image, rng: np.random.Generator) -> _Image:
    """What lies outside of the field of view is folded in on the other side."""
    axis = int(rng.integers(3))
    side = image.shape[axis]
    cut = round(side * rng.uniform(0.05, 0.2))
    kept = np.take(image, range(cut, side - cut), axis).copy()
    ends = np.moveaxis(kept, axis, 0)
    whole = np.moveaxis(image, axis, 0)
    width = min(cut, len(ends))
    ends[:width] += whole[side - cut : side - cut + width]
    ends[len(ends) - width :] += whole[cut - width : cut]
    return kept


def _movement(image: _Image, rng: np.random.Generator) -> _Image:
    """Two poses, one in the low and one in the high half of the acquisition."""
    axis = int(rng.integers(3))
    other = (axis + 1) % 3
    moved = np.roll(image, int(rng.integers(1, 4)), other)
    sigma = rng.uniform(1, 2.5)  # where the low half ends and the high one begins
    soft = ndimage.gaussian_filter1d(moved - image, sigma, axis)
    return np.asarray(image + soft, np.float32)


def _spike(image: _Image, rng: np.random.Generator) -> _Image:
    """A spark in k-space: stripes over the whole image."""
    grid = np.meshgrid(
        *(np.arange(side, dtype=np.float32) for side in image.shape),
        indexing="ij",
        sparse=True,
    )
    wave = sum(np.float32(rng.uniform(-1.5, 1.5)) * axis for axis in grid)
    return np.asarray(
        image + np.float32(rng.uniform(0.04, 0.15)) * np.cos(wave), np.float32
    )


def _void(image: _Image, rng: np.random.Generator) -> _Image:
    """Metal: a hole with a bright rim near the head's surface."""
    centre = [side * rng.choice([0.2, 0.8]) for side in image.shape]
    centre[2] = image.shape[2] * rng.uniform(0.3, 0.7)
    radius = rng.uniform(0.08, 0.2) * max(image.shape)
    squared = sum(
        ((np.arange(side, dtype=np.float32) - np.float32(middle)) ** 2).reshape(
            [-1 if axis == other else 1 for other in range(3)]
        )
        for axis, (side, middle) in enumerate(zip(image.shape, centre, strict=True))
    )
    distance = np.sqrt(squared) / np.float32(radius)
    hole = np.clip((distance - 0.85) * 8, 0, 1)
    rim = 1 + np.exp(-(((distance - 1.1) / 0.1) ** 2))
    return np.asarray(image * hole * rim, np.float32)


def _blocks(image: _Image, rng: np.random.Generator) -> _Image:
    """Strong compression: blocks of 4 voxels lose most of their detail."""
    sides = [side - side % 4 for side in image.shape]
    whole = image[: sides[0], : sides[1], : sides[2]]
    folded = whole.reshape(sides[0] // 4, 4, sides[1] // 4, 4, sides[2])
    mean = folded.mean((1, 3), keepdims=True)
    kept = np.float32(rng.uniform(0.3, 0.6))
    return np.asarray((mean + kept * (folded - mean)).reshape(sides), np.float32)


NAMES: Final[dict[str, Callable[[_Image, np.random.Generator], _Image]]] = {
    "ghost": _ghost,
    "ringing": _ringing,
    "wrap": _wrap,
    "movement": _movement,
}
"""Artefacts that training sees."""

SEALED: Final[dict[str, Callable[[_Image, np.random.Generator], _Image]]] = {
    "spike": _spike,
    "void": _void,
    "blocks": _blocks,
}
"""Artefacts that only sealed tests see."""
