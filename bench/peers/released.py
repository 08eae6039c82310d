"""The released model, as each of the other servers runs it."""

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("T1", "T2", "FLAIR", "other")
"""In the order of the project."""


@functools.cache
def load(path: str) -> Any:
    """Loads a SavedModel, which all threads of a process share."""
    import tensorflow as tf

    return tf.saved_model.load(path)


def folder() -> str:
    """The SavedModel's folder; the environment hands it to a host's own processes."""
    return str(Path(os.environ["BENCH_MODEL"]).absolute())


def log_probabilities(slices: Any) -> Any:
    """(slices, classes) float32 of (slices, 150, 150) uint8."""
    import tensorflow as tf

    outputs = load(folder()).signatures["slices_v1"](slices=tf.constant(slices))
    return np.stack([outputs[name].numpy() for name in CLASSES], axis=1)


def as_slices(content: bytes) -> Any:
    """(slices, 150, 150) uint8 of their bytes."""
    return np.frombuffer(content, np.uint8).reshape(-1, 150, 150)
