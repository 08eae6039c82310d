"""Spines: one built of vertebrae, and the neck of the simulated heads."""

import numpy as np
from scipy import ndimage

from pipeline.phantom import composition, fields, physics, protocols, template
from pipeline.phantom.fields import Volume
from pipeline.phantom.objects.canvas import Canvas


def spine(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Neck, chest or loins in sagittal slices: vertebrae, discs, canal, cord.

    Axes: feet-head, back-front, left-right (the slices).
    """
    contrast = str(rng.choice(["T1", "T2", "FLAIR", "other"]))
    signal = np.abs(protocols.sample_protocol(contrast, rng).signal)
    canvas = Canvas(rng, (128, 96, 24), 14)
    canvas.image[:] = signal[physics.NOTHING]
    canvas.solid((0, 0, 0), (np.inf, rng.uniform(0.7, 1.2), 3), signal[physics.FAT])
    canvas.solid((0, -0.4, 0), (np.inf, 0.4, 3), signal[physics.MUSCLE], wobble=0.4)
    front = rng.choice([physics.NOTHING, physics.MUSCLE, physics.MUCOSA, physics.FLUID])
    canvas.solid((0, 0.55, 0), (np.inf, 0.25, 1), signal[int(front)], wobble=0.5)
    count = int(rng.integers(5, 12))
    height = 2 / count
    depth = height * rng.uniform(0.5, 0.8)
    bow, tilt, phase = rng.uniform(-0.25, 0.25), rng.uniform(-0.15, 0.15), rng.random()
    marrow_fat = rng.uniform(0.2, 0.8)
    marrow = marrow_fat * signal[physics.FAT] + (1 - marrow_fat) * signal[physics.CORD]
    nucleus = signal[int(rng.choice([physics.FLUID, physics.MUSCLE, physics.MUCOSA]))]
    _canal(canvas, signal, rng, [bow, tilt], depth)
    for step in range(-1, count + 1):
        along = (step + phase) * height - 1 + height / 2
        y = bow * along**2 + tilt * along
        canvas.shell(
            (along, y, 0), (0.36 * height, depth, 0.9), (signal[physics.BONE], marrow),
            thickness=0.1,
        )  # fmt: skip
        canvas.solid((along + height / 2, y, 0), (0.13 * height, depth, 0.9), nucleus)
        arch = (along - 0.2 * height, y - 2.6 * depth, 0)
        canvas.shell(
            arch, (0.25 * height, 1.1 * depth, 0.3), (signal[physics.BONE], marrow),
            thickness=0.15,
        )  # fmt: skip
    grain = fields.smooth(rng, canvas.image.shape, 2.5)
    image = canvas.image * (1 + np.float32(rng.uniform(0, 0.12)) * grain)
    if rng.random() < 0.3:  # a small field of view
        start, length = int(rng.integers(0, 64)), int(rng.integers(36, 64))
        image = image[start : start + length, 14:72]
    side = float(rng.uniform(0.8, 2.2))
    return image, [side, side, float(rng.uniform(2.5, 4.5))]


def _canal(
    canvas: Canvas,
    signal: np.ndarray,
    rng: np.random.Generator,
    curve: list[float],
    depth: float,
) -> None:
    """Fluid around the cord, behind the vertebrae and bent as they are."""
    rows = np.linspace(-1, 1, canvas.image.shape[0])
    bow, tilt = curve
    wide = depth * rng.uniform(0.35, 0.6)
    ends = rng.choice([-2.0, -0.2])  # below the loins there are only roots
    for row in rows:
        centre = (row, bow * row**2 + tilt * row - 1.5 * depth, 0)
        canvas.solid(centre, (0.02, wide, 0.45), signal[physics.FLUID], wobble=0)
        if row > ends:
            cord = (0.02, 0.55 * wide, 0.3)
            canvas.solid(centre, cord, signal[physics.CORD], wobble=0)


def neck(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """The neck of a simulated head: vertebrae, discs, cord and its fluid."""
    head = template.load_template()
    table = composition.fractions(composition.sample_composition(rng))
    contrast = str(rng.choice(["T1", "T2", "FLAIR", "other"]))
    palette = table @ protocols.sample_protocol(contrast, rng).signal
    width, depth = int(rng.integers(20, 60)), int(rng.integers(20, 60))
    middle_x, middle_y = (int(head.origin[0]), int(head.origin[1]) - 35)
    top = int(head.origin[2]) - 72
    codes = head.codes[
        middle_x - width : middle_x + width,
        middle_y - depth : middle_y + depth,
        :top,
    ].astype(np.int32)
    fold = composition.FOLDS // 2
    image = np.abs(palette[codes * composition.FOLDS + fold]).astype(np.float32)
    image = ndimage.gaussian_filter(image, float(rng.uniform(0.3, 1.0)), truncate=2.5)
    return image, [1.0, 1.0, 1.0]
