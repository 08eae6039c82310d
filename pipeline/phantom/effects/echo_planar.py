"""Echo-planar images and the maps made of them: coarse, bent, with holes and ghosts."""

import numpy as np

from pipeline.phantom import fields
from pipeline.phantom.effects.places import disturbance
from pipeline.phantom.fields import Volume

_FACTORS = (2, 2, 3)
"""Echo-planar voxels measure 2.5 to 5.4 mm where anatomy's measure 1.25 to 1.8."""


def echo_planar(image: Volume, rng: np.random.Generator) -> Volume:
    """Coarse voxels, bent near sinuses and ears, holes there, half-way ghost, noise."""
    coarse, factor = _coarse(image, rng)
    coarse = _ghosted(coarse, rng)
    coarse = fields.rician(rng, coarse, rng.uniform(0.02, 0.1))
    return fields.unblock(coarse, factor)


def trace(image: Volume, rng: np.random.Generator) -> Volume:
    """Diffusion-weighted: fibres along the gradient are darker, noise is high."""
    coarse, factor = _coarse(image, rng)
    fibres = fields.smooth(rng, coarse.shape, float(rng.uniform(3, 8)))
    coarse *= np.exp(-np.float32(rng.uniform(0, 0.3)) * np.abs(fibres))
    coarse = _ghosted(coarse, rng)
    coarse = fields.rician(rng, coarse, rng.uniform(0.02, 0.14))
    return fields.unblock(coarse, factor)


def diffusivity(image: Volume, rng: np.random.Generator) -> Volume:
    """A diffusivity map: a quotient, so that noise fills what holds no signal."""
    coarse, factor = _coarse(image, rng)
    noise = fields.white(rng, coarse.shape)
    level = rng.uniform(0.06, 0.22)
    brain = coarse > rng.uniform(0.3, 0.6)
    coarse = coarse * (1 + np.float32(level) * noise)
    air = np.float32(rng.choice([0.0, *rng.uniform(0.5, 3, 2)]))
    failed = air * np.abs(noise) * (noise > rng.uniform(-1, 1))
    coarse = np.where(brain, coarse, failed).astype(np.float32)
    return fields.unblock(coarse.clip(0, np.float32(rng.uniform(2.2, 4.2))), factor)


def anisotropy(image: Volume, rng: np.random.Generator) -> Volume:
    """A fractional-anisotropy map: bundles of fibres, crossings dark, speckled."""
    coarse, factor = _coarse(image, rng)
    bundles = np.abs(fields.smooth(rng, coarse.shape, float(rng.uniform(2.5, 5))))
    coarse = coarse.clip(0, 4) ** np.float32(1.5)
    coarse *= (0.25 + 0.75 * bundles).clip(0, 1.3)
    speckle = fields.rician(rng, np.zeros_like(coarse), rng.uniform(0.2, 0.6))
    if rng.random() < 0.5:  # masked to the head
        speckle *= coarse > 0.02
    return fields.unblock(coarse + speckle, factor)


def perfusion(image: Volume, rng: np.random.Generator) -> Volume:
    """Labelled blood or contrast passage: grey matter in patches, much noise."""
    coarse, factor = _coarse(image, rng)
    patches = fields.smooth(rng, coarse.shape, float(rng.uniform(3, 9)))
    coarse *= np.exp(np.float32(rng.uniform(0.1, 0.6)) * patches)
    noise = fields.smooth(rng, coarse.shape, 1.4)
    noise = noise * (0.2 + coarse) if rng.random() < 0.5 else noise
    coarse = coarse + np.float32(rng.uniform(0.1, 0.5)) * noise
    return fields.unblock(coarse.clip(0, None), factor)


def dropout(image: Volume, rng: np.random.Generator) -> Volume:
    """Gradient echo: signal is lost above the sinuses and beside the ears."""
    lost = disturbance(image.shape, rng)
    lost *= np.float32(rng.uniform(0.8, 2.0))
    return image * (1 - lost.clip(0, 1))


def _coarse(image: Volume, rng: np.random.Generator) -> tuple[Volume, int]:
    """Magnitudes on a coarse, bent grid, and how many fine voxels a side it has."""
    factor = int(rng.choice(_FACTORS))
    return _bent(fields.blocks(np.abs(image), factor), rng), factor


def _bent(coarse: Volume, rng: np.random.Generator) -> Volume:
    """Shifts voxels along the phase-encoding direction by the field's disturbance."""
    axis = int(rng.random() < 0.85)
    field = disturbance(coarse.shape, rng)
    shift = field * np.float32(rng.choice([-1, 1]) * rng.uniform(1, 5))
    shift += fields.smooth(rng, coarse.shape, 14) * np.float32(rng.uniform(0.2, 1.2))
    sides = [-1 if other == axis else 1 for other in range(3)]
    places = np.arange(coarse.shape[axis], dtype=np.float32).reshape(sides)
    source = np.rint(places + shift).clip(0, coarse.shape[axis] - 1).astype(np.intp)
    bent = np.take_along_axis(coarse, source, axis)
    squeezed = (1 + np.diff(shift, axis=axis, prepend=0)).clip(0.3, 2)
    lost = np.float32(rng.uniform(0, 1.6)) * field
    return bent * squeezed * (1 - lost.clip(0, 1))


def _ghosted(coarse: Volume, rng: np.random.Generator) -> Volume:
    """Adds a weak copy half a field of view away."""
    share = np.float32(rng.uniform(0.02, 0.2))
    return coarse + share * np.roll(coarse, coarse.shape[1] // 2, 1)
