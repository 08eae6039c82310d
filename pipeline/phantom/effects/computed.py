"""Images that a program computed from others: labels, masks, maps, differences."""

import numpy as np

from pipeline.phantom import fields
from pipeline.phantom.fields import Volume


def labels(image: Volume, rng: np.random.Generator) -> Volume:
    """Each tissue a number of its own, in any order."""
    numbers = np.rint(np.abs(image) * 2).clip(0, 7).astype(np.intp)
    values = rng.permutation(np.arange(1, 8)).astype(np.float32)
    return np.concatenate([np.zeros(1, np.float32), values])[numbers]


def parcels(image: Volume, rng: np.random.Generator) -> Volume:
    """An atlas: regions of the brain, each with a number of its own."""
    field = fields.smooth(rng, image.shape, float(rng.uniform(8, 20)))
    field *= np.float32(rng.uniform(2, 5))
    region = np.rint(field).astype(np.intp) % 24
    inside = np.abs(image) > rng.uniform(0.4, 0.8)
    values = rng.permutation(np.arange(1, 25)).astype(np.float32)
    return values[region] * inside


def mask(image: Volume, rng: np.random.Generator) -> Volume:
    """One tissue or the whole head: 1 inside, 0 outside."""
    low = float(rng.choice([0.15, 0.6, 1.2]))
    high = float(rng.choice([low + 0.7, np.inf]))
    magnitude = np.abs(image)
    return ((magnitude > low) & (magnitude < high)).astype(np.float32)


def probability(image: Volume, rng: np.random.Generator) -> Volume:
    """How much of a tissue each voxel holds; its signal is 1 (grey) or 1.5 (white)."""
    magnitude = np.abs(image)
    if rng.random() < 0.6:
        return (1 - 2 * np.abs(magnitude - 1)).clip(0, 1)
    return ((magnitude - 1) * 2).clip(0, 1)


def difference(image: Volume, rng: np.random.Generator) -> Volume:
    """Before minus after: edges where the head moved, noise, grey where nothing did."""
    magnitude = np.abs(image)
    shift = rng.integers(-2, 3, 3)
    shift[rng.integers(3)] = rng.choice([-1, 1])
    moved = np.roll(magnitude, tuple(shift.tolist()), (0, 1, 2))
    moved -= magnitude
    moved += np.float32(rng.uniform(0.01, 0.1)) * fields.white(rng, image.shape)
    if rng.random() < 0.3:
        return np.abs(moved)
    return (moved + 1.5).clip(0, 3)


def activation(image: Volume, rng: np.random.Generator) -> Volume:
    """A statistic's map: blobs where it passes a threshold, perhaps over the head."""
    magnitude = np.abs(image)
    field = fields.smooth(rng, image.shape, float(rng.uniform(4, 10)))
    threshold = np.float32(rng.choice([-9.0, rng.uniform(0.3, 1.3)]))
    blobs = np.where(field > threshold, field.clip(-2, 4) + 2, 0) * (magnitude > 0.3)
    return blobs + np.float32(rng.choice([0.0, rng.uniform(0.3, 1.0)])) * magnitude


def quantitative(image: Volume, rng: np.random.Generator) -> Volume:
    """A map of relaxation times: clipped, and any value at all where signal is none."""
    magnitude = np.abs(image)
    noise = fields.white(rng, image.shape)
    largest = np.float32(rng.uniform(1.5, 4.5))
    mapped = magnitude * (1 + np.float32(rng.uniform(0.02, 0.1)) * noise)
    fitted = magnitude > 0.12
    failed = np.abs(noise) * largest * np.float32(rng.uniform(0.4, 1.2))
    failed *= noise > np.float32(rng.uniform(-1.5, 0.8))
    return np.where(fitted, mapped, failed).clip(0, largest)


def airless(image: Volume, rng: np.random.Generator) -> Volume:
    """A ratio of two images: where neither has signal, any value at all."""
    noise = np.abs(fields.white(rng, image.shape)) % 1
    return np.where(image > 0.02, image, noise * image.max())
