"""The time that a slice takes in use."""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mri_contrast.slices import SIZE

SLICES: Final = 24
"""Of a volume, at most: what is asked for at a time."""

_REPEATS: Final = 30
_WARM: Final = 5


def slice_milliseconds(forward: Callable[[Any], Any]) -> NDArray[np.float64]:
    """Measures a compiled forward pass several times.

    Args:
        forward: Of `pipeline.scoring.forward_pass`.

    Returns:
        (25,) milliseconds a slice, 24 at a time, in the order in which they were
        measured. Other work on the machine can only add to them.
    """
    slices = np.zeros((SLICES, SIZE, SIZE), np.uint8)
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        forward(slices).numpy()
        times.append(time.perf_counter() - start)
    return np.array(times[_WARM:]) / SLICES * 1000
