"""Vessels as winding curves, and what shows them: angiography, veins, phase."""

import numpy as np

from pipeline.phantom import fields
from pipeline.phantom.effects.places import disturbance
from pipeline.phantom.fields import Volume


def _tree(
    shape: tuple[int, ...], rng: np.random.Generator, feature: float, share: float
) -> Volume:
    """Vessels, 1 inside: where two smooth fields are both zero runs a curve.

    Args:
        shape: Of the volume.
        rng: Where the fields come from.
        feature: Distance of the curves' bends in voxels.
        share: Of all voxels that lie in vessels; real ones fill less, but a window
            taken at a high quantile would then not show them.
    """
    first, second = (fields.smooth(rng, shape, feature) for _ in range(2))
    first *= first
    second *= second
    first += second
    return (first < np.float32(2 * share)).astype(np.float32)


def veins(image: Volume, rng: np.random.Generator) -> Volume:
    """Susceptibility-weighted: dark veins, perhaps the minimum over some slices."""
    lost = disturbance(image.shape, rng) * np.float32(rng.uniform(0.8, 1.8))
    thin = _tree(image.shape, rng, rng.uniform(4, 7), rng.uniform(0.02, 0.06))
    darkness = np.float32(rng.uniform(0.5, 0.95))
    weighted = image * (1 - lost.clip(0, 1)) * (1 - darkness * thin)
    if rng.random() < 0.5:
        for shift in (1, 2):
            np.minimum(
                weighted[:, :, :-shift], weighted[:, :, shift:],
                out=weighted[:, :, :-shift],
            )  # fmt: skip
    return weighted


def angiography(image: Volume, rng: np.random.Generator) -> Volume:
    """Time of flight: a slab with tissue dim and fresh blood bright."""
    slab = _slab(image, rng)
    flow = _tree(slab.shape, rng, rng.uniform(6, 11), rng.uniform(0.025, 0.06))
    tissue = np.abs(slab)
    flow *= tissue > 0.1
    return tissue + np.float32(rng.uniform(2, 6)) * flow


def projection(image: Volume, rng: np.random.Generator) -> Volume:
    """The brightest along each ray through a thick slab: vessels on dim tissue."""
    tissue = np.abs(image) * np.float32(rng.uniform(0.1, 0.5))
    flow = _tree(image.shape, rng, rng.uniform(7, 13), rng.uniform(0.005, 0.02))
    flow *= tissue > 0.02
    bright = np.moveaxis(tissue + np.float32(rng.uniform(1, 3)) * flow, 2, 0).copy()
    for shift in (1, 2, 4):
        bright = np.maximum(bright[:-shift], bright[shift:])
    return np.moveaxis(bright, 0, 2)


def phase(image: Volume, rng: np.random.Generator) -> Volume:
    """The angle of the signal, wrapped, 0 to 1; noise where there is no signal."""
    turns = fields.smooth(rng, image.shape, rng.uniform(25, 60))
    turns *= np.float32(rng.choice([0.05, rng.uniform(0.3, 2.5)]))
    turns += np.float32(rng.uniform(0.5, 4)) * disturbance(image.shape, rng)
    turns += np.float32(rng.uniform(0.05, 0.3)) * image + np.float32(0.5)
    signal = np.abs(image)
    unsure = np.float32(rng.uniform(0.01, 0.06)) / (signal + np.float32(0.03))
    turns += unsure * fields.white(rng, image.shape)
    turns -= np.floor(turns)
    if rng.random() < 0.3:  # masked
        turns *= signal > 0.1
    return turns


def _slab(image: Volume, rng: np.random.Generator) -> Volume:
    """40 to 90 % of the height."""
    height = image.shape[2]
    thick = int(height * rng.uniform(0.4, 0.9))
    start = int(rng.integers(height // 8, max(height - thick, height // 8 + 1)))
    return np.ascontiguousarray(image[:, :, start : start + thick])
