"""Trunks and limbs: fat, muscle, organs, and bone with marrow.

Axes of a trunk: left-right, back-front, feet-head. Sizes are shares of the field of
view; every one is drawn anew, so that no two bodies are alike.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom import fields, physics, protocols
from pipeline.phantom.fields import Volume
from pipeline.phantom.objects.canvas import Canvas

_Signal = NDArray[np.float32]
_ALONG: Final = np.inf
"""A radius without end: the solid runs through all slices."""


def trunk(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Abdomen, chest, pelvis, breasts or heart by magnetic resonance."""
    return _textured(_draw(_TRUNKS, _tissues(rng), rng), rng), _spacing(rng)


def limb(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Thigh, knee, shoulder or hand by magnetic resonance."""
    image = _textured(_draw(_LIMBS, _tissues(rng), rng), rng)
    spacing = _spacing(rng)
    return image, [0.4 * spacing[0], 0.4 * spacing[1], spacing[2]]


def tomography(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """A trunk or limb by computed tomography, with a table and a window."""
    density = np.full(len(physics.TISSUES), 1.05, np.float32)
    density[[physics.FAT, physics.FLUID]] = 0.9, 1.01
    density[[physics.BONE, physics.NOTHING]] = rng.uniform(1.4, 2.2), 0.02
    density[physics.MUCOSA] = rng.uniform(1.04, 1.2)  # after contrast agent
    image = _draw(_TRUNKS if rng.random() < 0.7 else _LIMBS, density, rng)
    image[:, :2] = np.maximum(image[:, :2], rng.choice([0.0, 0.9]))
    image = image + np.float32(rng.uniform(0.002, 0.02)) * fields.white(
        rng, image.shape
    )
    low, high = ((0.85, 1.25), (0.0, 2.2), (0.7, 2.0), (0.0, 0.6))[rng.integers(4)]
    return ((image - low) / np.float32(high - low)).clip(0, 1), _spacing(rng)


def _tissues(rng: np.random.Generator) -> _Signal:
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
    plans: tuple[Callable[[Canvas, _Signal, np.random.Generator], None], ...],
    signal: _Signal,
    rng: np.random.Generator,
) -> Volume:
    canvas = Canvas(rng, (112, 96, 32), float(rng.uniform(8, 18)))
    canvas.image[:] = signal[physics.NOTHING]
    plans[rng.integers(len(plans))](canvas, signal, rng)
    return canvas.image


def _wall(
    canvas: Canvas, signal: _Signal, rng: np.random.Generator, inside: int
) -> tuple[float, float]:
    """Skin, fat, muscle and a cavity; returns the cavity's radii."""
    width, depth = rng.uniform(0.75, 1.0), rng.uniform(0.55, 0.85)
    for thickness, tissue in (
        (0.0, physics.MUSCLE),
        (rng.uniform(0.01, 0.03), physics.FAT),
        (rng.uniform(0.02, 0.25), physics.MUSCLE),
        (rng.uniform(0.04, 0.12), inside),
    ):
        width, depth = width - thickness, depth - thickness
        canvas.solid(
            (0, 0, 0), (width, depth, _ALONG), signal[tissue], wobble=0.06, power=2.5
        )
    return float(width), float(depth)


def _vertebra(
    canvas: Canvas, signal: _Signal, rng: np.random.Generator, y: float
) -> None:
    """Body, arch, canal and cord, seen from above."""
    size = rng.uniform(0.12, 0.17)
    marrow = 0.6 * signal[physics.FAT] + 0.4 * signal[physics.MUSCLE]
    back = y - 1.35 * size
    for side in (-1, 1):
        canvas.solid(
            (side * 2.1 * size, back - 0.05, 0), (1.6 * size, size, _ALONG),
            signal[physics.MUSCLE],
        )  # fmt: skip
    canvas.solid((0, back, 0), (size, size, _ALONG), signal[physics.BONE])
    canvas.shell(
        (0, y, 0), (size, 0.8 * size, _ALONG), (signal[physics.BONE], marrow),
        thickness=0.15,
    )  # fmt: skip
    for radius, tissue in ((0.5, physics.FLUID), (0.25, physics.CORD)):
        radii = (radius * size, radius * size, _ALONG)
        canvas.solid((0, back, 0), radii, signal[tissue], wobble=0)


def _abdomen(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    width, depth = _wall(canvas, signal, rng, physics.FAT)
    side = rng.choice([-1, 1])
    liver = 0.7 * signal[physics.MUSCLE] + 0.3 * signal[physics.MUCOSA]
    canvas.solid(
        (side * 0.45 * width, 0.15 * depth, rng.uniform(-0.5, 1)),
        (0.5 * width, 0.65 * depth, rng.uniform(0.6, 1.5)), liver,
    )  # fmt: skip
    canvas.solid(
        (-side * 0.65 * width, -0.2 * depth, rng.uniform(-0.5, 1)),
        (0.22 * width, 0.4 * depth, 0.8), signal[physics.MUCOSA],
    )  # fmt: skip
    for _ in range(int(rng.integers(4, 10))):
        content = rng.choice([physics.NOTHING, physics.FLUID, physics.MUSCLE])
        canvas.shell(
            (-side * rng.uniform(-0.3, 0.7) * width, rng.uniform(0, 0.7) * depth,
             rng.uniform(-1, 1)), rng.uniform(0.08, 0.25, 3),
            (signal[physics.MUSCLE], signal[int(content)]), thickness=0.25, wobble=0.3,
        )  # fmt: skip
    for where in (-1, 1):
        kidney = (signal[physics.MUCOSA], signal[physics.CORD], signal[physics.FAT])
        canvas.shell(
            (where * 0.5 * width, -0.5 * depth, rng.uniform(-1, 0.5)),
            (0.16, 0.2, 0.9), kidney, thickness=0.4,
        )  # fmt: skip
    _vertebra(canvas, signal, rng, -0.45 * depth)
    blood = rng.choice([0.1, 1.0]) * signal[physics.MUCOSA]
    for x in (-0.12, 0.1):
        canvas.solid((x, -0.12 * depth, 0), (0.06, 0.06, _ALONG), blood)


def _chest(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    width, depth = _wall(canvas, signal, rng, physics.MUSCLE)
    air = signal[physics.NOTHING] + 0.08 * signal[physics.MUSCLE]
    for side in (-1, 1):
        canvas.solid(
            (side * 0.5 * width, 0, 0), (0.46 * width, 0.9 * depth, 3), air, power=2.3
        )
        for angle in np.linspace(-1.2, 1.2, int(rng.integers(3, 7))):
            rib = (side * 0.98 * width * np.cos(angle), 0.98 * depth * np.sin(angle), 0)
            canvas.shell(
                rib, (0.07, 0.04, 0.6), (signal[physics.BONE], signal[physics.FAT]),
                thickness=0.4,
            )  # fmt: skip
    heart = (rng.uniform(-0.25, 0.25), 0.3 * depth, rng.uniform(-1, 0.5))
    canvas.solid(heart, (0.36, 0.36, 1.0), signal[physics.FAT])
    _chambers(canvas, signal, rng, heart, 0.3)
    _vertebra(canvas, signal, rng, -0.6 * depth)
    canvas.solid((0.15, -0.5 * depth, 0), (0.07, 0.07, _ALONG), signal[physics.FLUID])


def _heart(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    """The heart fills the picture: chambers between lungs, liver and chest wall."""
    canvas.image[:] = signal[physics.NOTHING] + 0.1 * signal[physics.MUSCLE]
    canvas.solid((0, 1, 0), (2, 0.35, _ALONG), signal[physics.MUSCLE])
    canvas.solid((0, 1.1, 0), (2, 0.3, _ALONG), signal[physics.FAT])
    canvas.solid((-0.9, -0.9, 0), (0.9, 0.6, _ALONG), signal[physics.MUCOSA])
    centre = (rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), 0.0)
    canvas.solid(centre, (0.75, 0.7, 2), signal[physics.FAT])
    _chambers(canvas, signal, rng, centre, 0.62)


def _chambers(
    canvas: Canvas,
    signal: _Signal,
    rng: np.random.Generator,
    centre: tuple[float, float, float],
    size: float,
) -> None:
    """A thick left chamber and a thin crescent to its right; blood bright or void."""
    x, y, z = centre
    blood = signal[physics.FLUID] if rng.random() < 0.6 else signal[physics.NOTHING]
    canvas.solid((x - 0.4 * size, y + 0.1 * size, z), (0.6 * size, 0.6 * size, 1),
                 signal[physics.MUSCLE])  # fmt: skip
    canvas.solid((x - 0.4 * size, y + 0.1 * size, z), (0.5 * size, 0.5 * size, 1),
                 blood)  # fmt: skip
    canvas.shell((x + 0.3 * size, y, z), (0.6 * size, 0.6 * size, 1),
                 (signal[physics.MUSCLE], blood), thickness=0.35)  # fmt: skip


def _pelvis(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    width, depth = _wall(canvas, signal, rng, physics.FAT)
    bone = (signal[physics.BONE], signal[physics.FAT])
    for side in (-1, 1):
        canvas.solid(
            (side * 0.5 * width, -0.5 * depth, 0),
            (0.45 * width, 0.35 * depth, _ALONG), signal[physics.MUSCLE],
        )  # fmt: skip
        canvas.solid(
            (side * 0.45 * width, 0.5 * depth, 0), (0.22, 0.2, _ALONG),
            signal[physics.MUSCLE],
        )  # fmt: skip
        hip = (side * 0.6 * width, 0.05 * depth, rng.uniform(-0.3, 0.3))
        canvas.shell(hip, (0.22, 0.24, 1.4), bone, thickness=0.12)
        canvas.shell(hip, (0.15, 0.16, 0.8), bone, thickness=0.15)
    canvas.shell((0, -0.7 * depth, 0), (0.25, 0.12, _ALONG), bone, thickness=0.12)
    bladder = rng.uniform(0.12, 0.3)
    canvas.shell(
        (0, 0.35 * depth, 0), (1.2 * bladder, bladder, 0.9),
        (signal[physics.MUSCLE], signal[physics.FLUID]), thickness=0.12,
    )  # fmt: skip
    canvas.shell(
        (0, -0.35 * depth, 0), (0.13, 0.1, _ALONG),
        (signal[physics.MUSCLE], signal[physics.NOTHING]), thickness=0.4,
    )  # fmt: skip


def _breasts(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    """Two cones of fat with gland in them before a chest wall."""
    gland = canvas.wobble > rng.uniform(-0.6, 0.8)
    wall = rng.uniform(-0.5, -0.2)
    canvas.solid((0, wall - 0.5, 0), (1, 0.55, _ALONG), signal[physics.MUSCLE], power=4)
    for side in (-1, 1):
        centre = (side * 0.48, wall, rng.uniform(-0.2, 0.2))
        radii = np.array([0.4, rng.uniform(0.6, 1.1), 0.9])
        canvas.solid(centre, radii, signal[physics.FAT], wobble=0.03)
        canvas.solid(centre, 0.8 * radii, signal[physics.MUCOSA], where=gland)
        canvas.solid((side * 0.5, wall - 0.65, 0), (0.38, 0.4, _ALONG),
                     signal[physics.NOTHING])  # fmt: skip


def _thigh(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    """One leg or two: fat, muscles parted by fat, a ring of bone around marrow."""
    for middle in ([0.0], [-0.5, 0.5])[rng.integers(2)]:
        size = 0.46 if middle else 0.85
        canvas.solid((middle, 0, 0), (size, size, _ALONG), signal[physics.FAT])
        size *= rng.uniform(0.65, 0.92)
        for angle in np.linspace(0, 2 * np.pi, int(rng.integers(5, 9)))[:-1]:
            apart = 0.52 * size
            canvas.solid(
                (middle + apart * np.cos(angle), apart * np.sin(angle), 0),
                (0.48 * size, 0.45 * size, _ALONG),
                signal[physics.MUSCLE] * rng.uniform(0.85, 1.1), wobble=0.2,
            )  # fmt: skip
        canvas.shell(
            (middle, 0.1 * size, 0), (0.24 * size, 0.24 * size, _ALONG),
            (signal[physics.BONE], signal[physics.FAT]), thickness=0.3,
        )  # fmt: skip


def _knee(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    """From the side: thigh bone over shin bone, knee cap, cartilage, fluid."""
    canvas.solid((0, 0, 0), (_ALONG, 0.8, _ALONG), signal[physics.FAT])
    canvas.solid((0.1, -0.45, 0), (_ALONG, 0.3, _ALONG), signal[physics.MUSCLE])
    canvas.solid((0.8, 0.2, 0), (0.5, 0.4, _ALONG), signal[physics.MUSCLE])
    bone = (signal[physics.MUCOSA], signal[physics.BONE], signal[physics.FAT])
    gap = rng.uniform(0.03, 0.08)
    canvas.solid((0, 0.1, 0), (0.5, 0.5, 1), signal[physics.FLUID], wobble=0.3)
    canvas.shell((1.0, 0, 0), (0.75, 0.2, 0.8), bone[1:], thickness=0.08)
    canvas.shell((0.42, 0.02, 0), (0.4 - gap, 0.42, 1.2), bone, thickness=0.07)
    canvas.shell((-1.0, -0.02, 0), (0.75, 0.2, 0.8), bone[1:], thickness=0.08)
    canvas.shell((-0.38, -0.02, 0), (0.36 - gap, 0.4, 1.2), bone, thickness=0.07)
    canvas.shell((0.35, 0.6, 0), (0.22, 0.1, 0.6), bone, thickness=0.1)


def _shoulder(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    """Head of the upper arm in its socket, under muscle and fat."""
    canvas.solid((0, -0.3, 0), (0.95, 0.95, _ALONG), signal[physics.FAT], power=3)
    canvas.solid((0, -0.3, 0), (0.8, 0.85, _ALONG), signal[physics.MUSCLE], wobble=0.2)
    bone = (signal[physics.BONE], signal[physics.FAT])
    x = rng.uniform(0.15, 0.35)
    canvas.shell((x + 0.1, -0.8, 0), (0.2, 0.9, 0.8), bone, thickness=0.12)
    canvas.solid((x, 0, 0), (0.42, 0.42, 1.3), signal[physics.FLUID])
    canvas.shell((x, 0, 0), (0.38, 0.38, 1.2), bone, thickness=0.08)
    canvas.shell((x - 0.62, -0.1, 0), (0.2, 0.33, 1.2), bone, thickness=0.12)
    canvas.shell((x - 0.1, 0.55, 0), (0.35, 0.1, 0.7), bone, thickness=0.12)
    for _ in range(5):
        place = rng.uniform(-0.8, 0.8, 3)
        canvas.solid(place, (0.5, 0.03, _ALONG), signal[physics.FAT], wobble=0.4)


def _hand(canvas: Canvas, signal: _Signal, rng: np.random.Generator) -> None:
    """Fingers or toes: rods of marrow in soft tissue, joints between them."""
    bone = (signal[physics.BONE], signal[physics.FAT])
    count = int(rng.integers(3, 6))
    reach = rng.uniform(0.3, 0.7)
    canvas.solid((0, -0.7, 0), (0.8, 0.8, 2), signal[physics.MUSCLE], wobble=0.2)
    for finger in range(count):
        x = 1.6 * (finger + 0.5) / count - 0.8
        width = 0.55 / count
        canvas.solid((x, 0, 0), (1.6 * width, reach + 0.3, 1.6), signal[physics.FAT])
        canvas.solid((x, 0, 0), (1.3 * width, reach + 0.25, 1.4),
                     signal[physics.MUSCLE])  # fmt: skip
        for joint in np.arange(-0.9, reach, 0.42):
            canvas.shell((x, joint, 0), (width, 0.2, 0.7), bone, thickness=0.2)


_TRUNKS: Final = (_abdomen, _chest, _pelvis, _breasts, _heart)
_LIMBS: Final = (_thigh, _knee, _shoulder, _hand)
