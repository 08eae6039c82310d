"""Nothing to see: empty coils, blank images, spikes, textures."""

import numpy as np

from pipeline.phantom import fields
from pipeline.phantom.fields import Volume


def noise(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """An empty coil: noise, fine or coarse, with a spike, an edge or stripes."""
    sides = (80, 96, 24)
    image = np.abs(fields.white(rng, sides))
    if rng.random() < 0.4:
        image = np.hypot(*(fields.smooth(rng, sides, rng.uniform(1, 4)) for _ in "ab"))
    if rng.random() < 0.4:
        image = image.copy()
        image[tuple(rng.integers(0, 24, 3))] = rng.uniform(3, 100)
    if rng.random() < 0.3:
        image = image + _stripes(rng, sides)
    if rng.random() < 0.3:
        image = image * np.exp(fields.smooth(rng, sides, 40))
    return image.astype(np.float32), [2.0, 2.0, float(rng.uniform(2, 6))]


def _stripes(rng: np.random.Generator, sides: tuple[int, int, int]) -> Volume:
    """One wrong point of k-space: stripes over all of the image."""
    first, second = (np.linspace(0, 1, side, dtype=np.float32) for side in sides[:2])
    waves = rng.uniform(-30, 30, 2).astype(np.float32)
    wave = np.cos(2 * np.pi * (waves[0] * first[:, None] + waves[1] * second[None, :]))
    return np.asarray(rng.uniform(0.5, 4) * (1 + wave)[:, :, None], np.float32)


def blank(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Next to nothing: one spot, a ramp, two halves, a cross or a frame."""
    sides = (72, 96, 20)
    image = np.full(sides, rng.choice([0.0, rng.uniform(0, 1)]), np.float32)
    first, second = int(rng.integers(24, 48)), int(rng.integers(32, 64))
    match int(rng.integers(5)):
        case 0:
            image[first - 4 : first + 4, second - 4 : second + 4] += 1
        case 1:
            image += np.linspace(0, 1, sides[1], dtype=np.float32)[:, None]
        case 2:
            image[first:] += 1
        case 3:
            image[first], image[:, second] = 1, 1
        case _:
            image[3:-3, 3:-3] += 1
    return image, [1.0, 1.0, float(rng.uniform(1, 6))]


def texture(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Structure of all sizes, as in clouds, stone and cloth; perhaps in few tones."""
    sides = (112, 112, 16)
    image = np.zeros(sides, np.float32)
    growth = rng.uniform(1.2, 2.2)
    for octave in range(6):
        image += fields.smooth(rng, sides, 1.2 * 2**octave) * np.float32(growth**octave)
    if rng.random() < 0.3:
        image = np.abs(image)
    if rng.random() < 0.4:
        tones = np.quantile(image[::3, ::3, ::3], [0.2, 0.5, 0.7])
        image = np.digitize(image, tones).astype(np.float32)
    return image - image.min(), [1.5, 1.5, float(rng.uniform(1.5, 6))]
