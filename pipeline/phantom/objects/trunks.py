"""Plans of trunks: abdomen, chest, heart, pelvis and breasts, drawn on a canvas.

Axes: left-right, back-front, feet-head. Sizes are shares of the field of view.
"""

from typing import Final

import numpy as np

from pipeline.phantom import physics
from pipeline.phantom.objects.canvas import ALONG, Canvas, Plan, Signal


def _wall(
    canvas: Canvas, signal: Signal, rng: np.random.Generator, inside: int
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
            (0, 0, 0), (width, depth, ALONG), signal[tissue], wobble=0.06, power=2.5
        )
    return float(width), float(depth)


def _vertebra(
    canvas: Canvas, signal: Signal, rng: np.random.Generator, y: float
) -> None:
    """Body, arch, canal and cord, seen from above."""
    size = rng.uniform(0.12, 0.17)
    marrow = 0.6 * signal[physics.FAT] + 0.4 * signal[physics.MUSCLE]
    back = y - 1.35 * size
    for side in (-1, 1):
        canvas.solid(
            (side * 2.1 * size, back - 0.05, 0), (1.6 * size, size, ALONG),
            signal[physics.MUSCLE],
        )  # fmt: skip
    canvas.solid((0, back, 0), (size, size, ALONG), signal[physics.BONE])
    canvas.shell(
        (0, y, 0), (size, 0.8 * size, ALONG), (signal[physics.BONE], marrow),
        thickness=0.15,
    )  # fmt: skip
    for radius, tissue in ((0.5, physics.FLUID), (0.25, physics.CORD)):
        radii = (radius * size, radius * size, ALONG)
        canvas.solid((0, back, 0), radii, signal[tissue], wobble=0)


def _abdomen(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
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
        canvas.solid((x, -0.12 * depth, 0), (0.06, 0.06, ALONG), blood)


def _chest(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
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
    canvas.solid((0.15, -0.5 * depth, 0), (0.07, 0.07, ALONG), signal[physics.FLUID])


def _heart(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
    """The heart fills the picture: chambers between lungs, liver and chest wall."""
    canvas.image[:] = signal[physics.NOTHING] + 0.1 * signal[physics.MUSCLE]
    canvas.solid((0, 1, 0), (2, 0.35, ALONG), signal[physics.MUSCLE])
    canvas.solid((0, 1.1, 0), (2, 0.3, ALONG), signal[physics.FAT])
    canvas.solid((-0.9, -0.9, 0), (0.9, 0.6, ALONG), signal[physics.MUCOSA])
    centre = (rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), 0.0)
    canvas.solid(centre, (0.75, 0.7, 2), signal[physics.FAT])
    _chambers(canvas, signal, rng, centre, 0.62)


def _chambers(
    canvas: Canvas,
    signal: Signal,
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


def _pelvis(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
    width, depth = _wall(canvas, signal, rng, physics.FAT)
    bone = (signal[physics.BONE], signal[physics.FAT])
    for side in (-1, 1):
        canvas.solid(
            (side * 0.5 * width, -0.5 * depth, 0),
            (0.45 * width, 0.35 * depth, ALONG), signal[physics.MUSCLE],
        )  # fmt: skip
        canvas.solid(
            (side * 0.45 * width, 0.5 * depth, 0), (0.22, 0.2, ALONG),
            signal[physics.MUSCLE],
        )  # fmt: skip
        hip = (side * 0.6 * width, 0.05 * depth, rng.uniform(-0.3, 0.3))
        canvas.shell(hip, (0.22, 0.24, 1.4), bone, thickness=0.12)
        canvas.shell(hip, (0.15, 0.16, 0.8), bone, thickness=0.15)
    canvas.shell((0, -0.7 * depth, 0), (0.25, 0.12, ALONG), bone, thickness=0.12)
    bladder = rng.uniform(0.12, 0.3)
    canvas.shell(
        (0, 0.35 * depth, 0), (1.2 * bladder, bladder, 0.9),
        (signal[physics.MUSCLE], signal[physics.FLUID]), thickness=0.12,
    )  # fmt: skip
    canvas.shell(
        (0, -0.35 * depth, 0), (0.13, 0.1, ALONG),
        (signal[physics.MUSCLE], signal[physics.NOTHING]), thickness=0.4,
    )  # fmt: skip


def _breasts(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
    """Two cones of fat with gland in them before a chest wall."""
    gland = canvas.wobble > rng.uniform(-0.6, 0.8)
    wall = rng.uniform(-0.5, -0.2)
    canvas.solid((0, wall - 0.5, 0), (1, 0.55, ALONG), signal[physics.MUSCLE], power=4)
    for side in (-1, 1):
        centre = (side * 0.48, wall, rng.uniform(-0.2, 0.2))
        radii = np.array([0.4, rng.uniform(0.6, 1.1), 0.9])
        canvas.solid(centre, radii, signal[physics.FAT], wobble=0.03)
        canvas.solid(centre, 0.8 * radii, signal[physics.MUCOSA], where=gland)
        canvas.solid((side * 0.5, wall - 0.65, 0), (0.38, 0.4, ALONG),
                     signal[physics.NOTHING])  # fmt: skip


TRUNKS: Final[tuple[Plan, ...]] = (_abdomen, _chest, _pelvis, _breasts, _heart)
