"""Plans of limbs: thigh, knee, shoulder and hand, drawn on a canvas."""

from typing import Final

import numpy as np

from pipeline.phantom import physics
from pipeline.phantom.objects.canvas import ALONG, Canvas, Plan, Signal


def _thigh(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
    """One leg or two: fat, muscles parted by fat, a ring of bone around marrow."""
    for middle in ([0.0], [-0.5, 0.5])[rng.integers(2)]:
        size = 0.46 if middle else 0.85
        canvas.solid((middle, 0, 0), (size, size, ALONG), signal[physics.FAT])
        size *= rng.uniform(0.65, 0.92)
        for angle in np.linspace(0, 2 * np.pi, int(rng.integers(5, 9)))[:-1]:
            apart = 0.52 * size
            canvas.solid(
                (middle + apart * np.cos(angle), apart * np.sin(angle), 0),
                (0.48 * size, 0.45 * size, ALONG),
                signal[physics.MUSCLE] * rng.uniform(0.85, 1.1), wobble=0.2,
            )  # fmt: skip
        canvas.shell(
            (middle, 0.1 * size, 0), (0.24 * size, 0.24 * size, ALONG),
            (signal[physics.BONE], signal[physics.FAT]), thickness=0.3,
        )  # fmt: skip


def _knee(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
    """From the side: thigh bone over shin bone, knee cap, cartilage, fluid."""
    canvas.solid((0, 0, 0), (ALONG, 0.8, ALONG), signal[physics.FAT])
    canvas.solid((0.1, -0.45, 0), (ALONG, 0.3, ALONG), signal[physics.MUSCLE])
    canvas.solid((0.8, 0.2, 0), (0.5, 0.4, ALONG), signal[physics.MUSCLE])
    bone = (signal[physics.MUCOSA], signal[physics.BONE], signal[physics.FAT])
    gap = rng.uniform(0.03, 0.08)
    canvas.solid((0, 0.1, 0), (0.5, 0.5, 1), signal[physics.FLUID], wobble=0.3)
    canvas.shell((1.0, 0, 0), (0.75, 0.2, 0.8), bone[1:], thickness=0.08)
    canvas.shell((0.42, 0.02, 0), (0.4 - gap, 0.42, 1.2), bone, thickness=0.07)
    canvas.shell((-1.0, -0.02, 0), (0.75, 0.2, 0.8), bone[1:], thickness=0.08)
    canvas.shell((-0.38, -0.02, 0), (0.36 - gap, 0.4, 1.2), bone, thickness=0.07)
    canvas.shell((0.35, 0.6, 0), (0.22, 0.1, 0.6), bone, thickness=0.1)


def _shoulder(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
    """Head of the upper arm in its socket, under muscle and fat."""
    canvas.solid((0, -0.3, 0), (0.95, 0.95, ALONG), signal[physics.FAT], power=3)
    canvas.solid((0, -0.3, 0), (0.8, 0.85, ALONG), signal[physics.MUSCLE], wobble=0.2)
    bone = (signal[physics.BONE], signal[physics.FAT])
    x = rng.uniform(0.15, 0.35)
    canvas.shell((x + 0.1, -0.8, 0), (0.2, 0.9, 0.8), bone, thickness=0.12)
    canvas.solid((x, 0, 0), (0.42, 0.42, 1.3), signal[physics.FLUID])
    canvas.shell((x, 0, 0), (0.38, 0.38, 1.2), bone, thickness=0.08)
    canvas.shell((x - 0.62, -0.1, 0), (0.2, 0.33, 1.2), bone, thickness=0.12)
    canvas.shell((x - 0.1, 0.55, 0), (0.35, 0.1, 0.7), bone, thickness=0.12)
    for _ in range(5):
        place = rng.uniform(-0.8, 0.8, 3)
        canvas.solid(place, (0.5, 0.03, ALONG), signal[physics.FAT], wobble=0.4)


def _hand(canvas: Canvas, signal: Signal, rng: np.random.Generator) -> None:
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


LIMBS: Final[tuple[Plan, ...]] = (_thigh, _knee, _shoulder, _hand)
