"""Trunks and limbs: fat, muscle, organs, and bone with marrow.

Every size is drawn anew, so that no two bodies are alike.
"""

import numpy as np

from pipeline.phantom import fields, physics, protocols
from pipeline.phantom.fields import Volume
from pipeline.phantom.objects.canvas import Canvas, Plan, Signal
from pipeline.phantom.objects.limbs import LIMBS
from pipeline.phantom.objects.trunks import TRUNKS


def trunk(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Abdomen, chest, pelvis, breasts or heart by magnetic resonance."""
    return _textured(_draw(TRUNKS, _tissues(rng), rng), rng), _spacing(rng)


def limb(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Thigh, knee, shoulder or hand by magnetic resonance."""
    image = _textured(_draw(LIMBS, _tissues(rng), rng), rng)
    spacing = _spacing(rng)
    return image, [0.4 * spacing[0], 0.4 * spacing[1], spacing[2]]


def tomography(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """A trunk or limb by computed tomography, with a table and a window."""
    density = np.full(len(physics.TISSUES), 1.05, np.float32)
    density[[physics.FAT, physics.FLUID]] = 0.9, 1.01
    density[[physics.BONE, physics.NOTHING]] = rng.uniform(1.4, 2.2), 0.02
    density[physics.MUCOSA] = rng.uniform(1.04, 1.2)  # after contrast agent
    image = _draw(TRUNKS if rng.random() < 0.7 else LIMBS, density, rng)
    image[:, :2] = np.maximum(image[:, :2], rng.choice([0.0, 0.9]))
    image = image + np.float32(rng.uniform(0.002, 0.02)) * fields.white(
        rng, image.shape
    )
    low, high = ((0.85, 1.25), (0.0, 2.2), (0.7, 2.0), (0.0, 0.6))[rng.integers(4)]
    return ((image - low) / np.float32(high - low)).clip(0, 1), _spacing(rng)


def _tissues(rng: np.random.Generator) -> Signal:
    contrast = str(rng.choice(["T1", "T2", "FLAIR", "other"]))
    return np.abs(protocols.sample_protocol(contrast, rng).signal)


def _spacing(rng: np.random.Generator) -> list[float]:
    side = float(rng.uniform(1.5, 3.5))
    return [side, side * float(rng.uniform(0.9, 1.1)), float(rng.uniform(2, 7))]


def _textured(image: Volume, rng: np.random.Generator) -> Volume:
    """Muscle and organs are marbled."""
    grain = fields.smooth(rng, image.shape, float(rng.uniform(1.5, 5)))
    return image * (1 + np.float32(rng.uniform(0.02, 0.2)) * grain).clip(0.2, None)


def _draw(
    plans: tuple[Plan, ...],
    signal: Signal,
    rng: np.random.Generator,
) -> Volume:
    canvas = Canvas(rng, (112, 96, 32), float(rng.uniform(8, 18)))
    canvas.image[:] = signal[physics.NOTHING]
    plans[rng.integers(len(plans))](canvas, signal, rng)
    return canvas.image
