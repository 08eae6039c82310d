"""What people upload that is no brain at all: the far end of the class `other`."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_contrast.scans import Scan
from pipeline.phantom import acquisition, composition, physics, protocols, template

_Volume = NDArray[np.float32]


def sample_kind(rng: np.random.Generator) -> str:
    """Draws what kind of thing it is: the first draw of `sample_object`."""
    return str(rng.choice(list(_OBJECTS)))


def sample_object(rng: np.random.Generator) -> Scan:
    """Draws a scan of a thing that is no brain.

    Args:
        rng: Where the draw comes from; the same state gives the same scan.
    """
    image, spacing = _OBJECTS[sample_kind(rng)](rng)
    contrast = str(rng.choice(["T1", "T2", "FLAIR", "other"]))
    protocol = protocols.sample_protocol(contrast, rng)
    taken = acquisition.sample_acquisition(protocol, 1.5, rng)
    image = image / max(float(np.abs(image).max()), 1e-6)
    image = acquisition.receive(image.astype(np.float32), taken)
    return acquisition.store(image, spacing, taken)


def _grid(sides: tuple[int, int, int]) -> list[_Volume]:
    """Broadcastable coordinates from -1 to 1 along each axis."""
    return [
        np.linspace(-1, 1, side, dtype=np.float32).reshape(
            [-1 if other == axis else 1 for other in range(3)]
        )
        for axis, side in enumerate(sides)
    ]


def _smooth(rng: np.random.Generator, sides: tuple[int, ...], sigma: float) -> _Volume:
    """Smooth noise of unit variance."""
    field = rng.standard_normal(sides, dtype=np.float32)
    field = ndimage.gaussian_filter(field, sigma, mode="wrap")
    return np.asarray(field / field.std(), np.float32)


def _ellipsoid(
    grid: list[_Volume], rng: np.random.Generator, low: float, high: float
) -> _Volume:
    """Distance from a random centre, 1 on an ellipsoid with radii in [low, high]."""
    centre, radii = rng.uniform(-0.2, 0.2, 3), rng.uniform(low, high, 3)
    squared = sum(
        ((axis - np.float32(middle)) / np.float32(radius)) ** 2
        for axis, middle, radius in zip(grid, centre, radii, strict=True)
    )
    return np.sqrt(np.asarray(squared, np.float32))


def _bottle(rng: np.random.Generator) -> tuple[_Volume, list[float]]:
    """A quality-assurance phantom: cylinder, ball or box of fluid with inserts."""
    sides = (int(rng.integers(64, 128)), int(rng.integers(64, 128)), 64)
    grid = _grid(sides)
    power = float(rng.choice([2, 2, 20]))
    across = np.abs(grid[0] / 0.8) ** power + np.abs(grid[1] / 0.8) ** power
    along = np.abs(grid[2]) < rng.uniform(0.6, 1)
    image = ((across <= 1) & along).astype(np.float32)
    if rng.random() < 0.3:
        image = (_ellipsoid(grid, rng, 0.6, 0.9) <= 1).astype(np.float32)
    # The standing wave of a large water bottle brightens or darkens its middle.
    image *= 1 + rng.uniform(-0.5, 0.5) * (grid[0] ** 2 + grid[1] ** 2)
    for _ in range(int(rng.integers(0, 10))):
        insert = _ellipsoid(grid, rng, 0.05, 0.3) <= 1
        image = np.where(insert & (image > 0), np.float32(rng.uniform(0, 1.5)), image)
    return image, [float(rng.uniform(1, 3.3))] * 3


def _fruit(rng: np.random.Generator) -> tuple[_Volume, list[float]]:
    """Skin, flesh, core and seeds."""
    grid = _grid((96, 96, 72))
    distance = _ellipsoid(grid, rng, 0.5, 0.85)
    rings = np.sort(rng.uniform(0.2, 0.95, 3))
    image = np.zeros(distance.shape, np.float32)
    for edge in (1.0, *rings[::-1]):
        image[distance < edge] = rng.uniform(0.05, 1)
    seeds = _smooth(rng, distance.shape, 2.0) > rng.uniform(1.5, 2.5)
    image[seeds & (distance < rings[1])] = rng.uniform(0, 1.5)
    return image, [float(rng.uniform(1, 2.4))] * 3


def _body(rng: np.random.Generator) -> tuple[_Volume, list[float]]:
    """A trunk or a limb: skin fat, muscle, organs or bone with marrow."""
    sides = (112, 88, 40)
    grid = _grid(sides)
    signal = protocols.sample_protocol(
        str(rng.choice(["T1", "T2", "FLAIR", "other"])), rng
    ).signal
    flat = np.abs(grid[0] / 0.95) ** 2.4 + np.abs(grid[1] / rng.uniform(0.6, 0.95)) ** 2
    outline = flat + 0.04 * _smooth(rng, sides, 8)
    image = np.zeros(sides, np.float32)
    image[outline < 1] = signal[physics.FAT]
    inner = outline < rng.uniform(0.6, 0.9)
    tissues = rng.permutation(
        [physics.MUSCLE, physics.MUSCLE, physics.FAT, physics.MUCOSA,
         physics.FLUID, physics.NOTHING, physics.CORD, physics.LESION]
    )  # fmt: skip
    field = _smooth(rng, sides, float(rng.uniform(3, 8)))
    bands = np.digitize(field, np.linspace(-1.6, 1.6, len(tissues) - 1))
    image[inner] = signal[tissues][bands][inner]
    for _ in range(int(rng.integers(1, 5))):
        centre = rng.uniform(-0.6, 0.6, 2)
        radius = rng.uniform(0.08, 0.35)
        apart = np.hypot(grid[0] - centre[0], grid[1] - centre[1]) / radius
        bone = np.broadcast_to(apart < 1, sides) & inner
        image[bone] = signal[physics.BONE]
        image[bone & np.broadcast_to(apart < 0.85, sides)] = signal[physics.FAT]
    return image, [2.5, 2.5, float(rng.uniform(2.5, 6))]


def _spine(rng: np.random.Generator) -> tuple[_Volume, list[float]]:
    """The neck of a subject: vertebrae, discs, cord and its fluid."""
    head = template.load_template()
    table = composition.fractions(composition.sample_composition(rng))
    palette = (
        table
        @ protocols.sample_protocol(
            str(rng.choice(["T1", "T2", "FLAIR", "other"])), rng
        ).signal
    )
    width, depth = int(rng.integers(20, 60)), int(rng.integers(20, 60))
    middle_x, middle_y = (int(head.origin[0]), int(head.origin[1]) - 35)
    top = int(head.origin[2]) - 72
    neck = head.codes[
        middle_x - width : middle_x + width,
        middle_y - depth : middle_y + depth,
        :top,
    ].astype(np.int32)
    fold = composition.FOLDS // 2
    image = palette[neck * composition.FOLDS + fold].astype(np.float32)
    image = ndimage.gaussian_filter(image, float(rng.uniform(0.3, 1.0)))
    return image, [1.0, 1.0, 1.0]


def _noise(rng: np.random.Generator) -> tuple[_Volume, list[float]]:
    """An empty coil: noise, perhaps with a spike or a bright edge."""
    image = np.abs(rng.standard_normal((80, 80, 24), dtype=np.float32))
    if rng.random() < 0.5:
        image[tuple(rng.integers(0, 24, 3))] = rng.uniform(3, 100)
    if rng.random() < 0.3:
        image[:, int(rng.integers(0, 80))] += rng.uniform(1, 20)
    return image, [2.0, 2.0, float(rng.uniform(2, 6))]


def _texture(rng: np.random.Generator) -> tuple[_Volume, list[float]]:
    """A photograph's statistics: scales of all sizes, hard edges."""
    image = np.zeros((120, 120, 16), np.float32)
    for octave in range(6):
        image += _smooth(rng, image.shape, 0.7 * 2**octave) * 1.7**octave
    if rng.random() < 0.5:
        image = np.digitize(image, np.quantile(image, [0.2, 0.5, 0.7])).astype(
            np.float32
        )
    return image - image.min(), [1.5, 1.5, float(rng.uniform(1.5, 6))]


_OBJECTS: Final[
    dict[str, Callable[[np.random.Generator], tuple[_Volume, list[float]]]]
] = {
    "bottle": _bottle,
    "fruit": _fruit,
    "body": _body,
    "spine": _spine,
    "noise": _noise,
    "texture": _texture,
}
