"""Images of which nobody could tell the contrast, or tells the opposite."""

import numpy as np

from pipeline.phantom import fields
from pipeline.phantom.fields import Volume


def inverted(image: Volume, rng: np.random.Generator) -> Volume:
    """Black is white, air and all: as viewers and X-ray habits have it."""
    magnitude = np.abs(image)
    brightest = np.quantile(magnitude[::6, ::6, ::6], rng.uniform(0.93, 1.0))
    return (np.float32(brightest) - magnitude).clip(0, None)


def motion(image: Volume, rng: np.random.Generator) -> Volume:
    """Moved throughout: several copies of equal weight, signed, and their noise."""
    magnitude = np.abs(image)
    axis = int(rng.integers(0, 2))
    moved = np.zeros_like(magnitude)
    for _ in range(int(rng.integers(5, 8))):
        weight = np.float32(rng.choice([-1, 1, 1]) * rng.uniform(0.7, 1))
        distance = int(rng.uniform(-0.35, 0.35) * image.shape[axis])
        weighted = weight * magnitude
        to, back = np.moveaxis(moved, axis, 0), np.moveaxis(weighted, axis, 0)
        start = distance % image.shape[axis]
        to[start:] += back[: len(back) - start]
        to[:start] += back[len(back) - start :]
    return fields.rician(rng, moved, rng.uniform(0.05, 0.4))


def tiny(image: Volume, rng: np.random.Generator) -> Volume:
    """A crop of 20 to 28 voxels somewhere in the brain."""
    sides = rng.integers(20, 29, 3)
    middle = np.array(image.shape) * rng.uniform(0.42, 0.58, 3)
    starts = (middle - sides / 2).astype(int).clip(0, None)
    first, second, third = (
        slice(start, start + side) for start, side in zip(starts, sides, strict=True)
    )
    return np.ascontiguousarray(image[first, second, third])
