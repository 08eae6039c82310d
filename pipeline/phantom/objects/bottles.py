"""Quality-assurance phantoms and fruit."""

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom import fields
from pipeline.phantom.fields import Volume
from pipeline.phantom.objects.canvas import Canvas, grid


def bottle(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """A cylinder, ball or box of fluid, with inserts, bubbles and a level."""
    canvas, inside = _filled(rng)
    centre = grid(canvas.image.shape)
    for _ in range(int(rng.integers(0, 10))):
        canvas.solid(
            rng.uniform(-0.6, 0.6, 3), rng.uniform(0.05, 0.3, 3), rng.uniform(0, 1.6),
            wobble=0, power=float(rng.choice([2, 20])), where=inside,
        )  # fmt: skip
    if rng.random() < 0.3:  # not full
        axis = int(rng.integers(3))
        canvas.image *= centre[axis] < rng.uniform(0.2, 0.7)
    return _standing_wave(canvas.image, rng), _spacing(rng)


def resolution(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Grids, holes in rows, wedges and wheels in a bottle, as makers deliver them."""
    canvas, inside = _filled(rng)
    x, y, z = grid(canvas.image.shape)
    pattern = rng.integers(4)
    waves = np.float32(rng.uniform(8, 26))
    if pattern == 0:
        bars = (np.sin(waves * x) > 0.6) | (np.sin(waves * y) > 0.6)
    elif pattern == 1:
        bars = (np.sin(waves * x) * np.sin(waves * y) > rng.uniform(0.2, 0.7)) | (z > 2)
    elif pattern == 2:
        bars = np.sin(waves / 2 * np.arctan2(y, x)) > rng.uniform(-0.3, 0.5)
    else:
        bars = (np.abs(y) < 0.1) | (np.abs(x - y * z) < 0.12) | (np.abs(x + y) < 0.05)
    part = (np.abs(x) < rng.uniform(0.4, 0.9)) & (np.abs(y) < rng.uniform(0.4, 0.9))
    canvas.image[inside & (bars & part)] = rng.uniform(0, 0.5)
    return _standing_wave(canvas.image, rng), _spacing(rng)


def fruit(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Skin, flesh, segments, core and seeds."""
    sides = (88, 88, 56)
    canvas = Canvas(rng, sides, float(rng.uniform(6, 20)))
    middle, size = rng.uniform(-0.15, 0.15, 3), rng.uniform(0.5, 0.85, 3)
    values = rng.uniform(0.05, 1, int(rng.integers(2, 5)))
    canvas.shell(middle, size, values, thickness=float(rng.uniform(0.05, 0.3)))
    x, y, _ = (
        axis - np.float32(at) for axis, at in zip(grid(sides), middle, strict=True)
    )
    if rng.random() < 0.5:  # citrus: walls between segments
        segments = int(rng.integers(7, 13)) / 2
        walls = np.abs(np.sin(segments * np.arctan2(y, x))) < 0.15
        canvas.image[walls & (canvas.image == values[-1])] *= rng.uniform(0.2, 1.6)
    seeds = fields.smooth(rng, sides, 3.5) > rng.uniform(1.6, 2.6)
    shine = rng.choice([0.0, rng.uniform(1.5, 5)])
    canvas.solid(middle, size * 0.5, shine, wobble=0, where=seeds)
    return canvas.image, [float(rng.uniform(1, 2.4))] * 3


def _filled(rng: np.random.Generator) -> tuple[Canvas, NDArray[np.bool_]]:
    """A body of fluid that fills 30 to 100 % of the field of view, and where it is."""
    sides = (int(rng.integers(64, 128)), int(rng.integers(64, 128)), 48)
    canvas = Canvas(rng, sides, 12)
    size = rng.uniform(0.35, 1.0)
    radii = size * rng.uniform(0.85, 1.0, 3)
    middle = rng.uniform(-1, 1, 3) * (1 - size) * 0.7
    power = 2.0
    shape = rng.integers(3)
    if shape == 0:  # lying along any axis
        radii[rng.integers(3)] = rng.choice([np.inf, 8.0])
    elif shape == 1:
        power = 20.0
    if rng.random() < 0.4:  # a wall that shines
        canvas.solid(middle, radii * 1.06, rng.uniform(0.1, 0.6), wobble=0, power=power)
    canvas.solid(middle, radii, 1, wobble=0, power=power)
    return canvas, canvas.image == 1


def _standing_wave(image: Volume, rng: np.random.Generator) -> Volume:
    """A bottle of water is as large as the radio wave: its middle is bright or dark."""
    x, y, z = grid(image.shape)
    wave = np.float32(rng.uniform(-0.6, 0.6)) * (x**2 + y**2 + np.float32(0.3) * z**2)
    return image * (1 + wave).clip(0.1, None)


def _spacing(rng: np.random.Generator) -> list[float]:
    side = float(rng.uniform(0.8, 3.3))
    return [side, side, side * float(rng.choice([1.0, 1.0, 2.0, 4.0]))]
