"""The study's program on today's Keras: the baseline that figures are compared with.

What it does is kept, its mistakes included: the noise runs before the rescaling, so
its deviation is 0.0004 of the range; the shear is 0.2 degrees; one channel is read
three times. What no longer runs is written as Keras 3 wants it.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SIDE: Final = 150
BATCH: Final = 32
CLASSES: Final = 3
PARAMETERS: Final = 2_861_379
"""Of the submitted network; tells that it is rebuilt as it was."""

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


def generator(folder: Path, *, augment: bool) -> Iterator[Batch]:
    """Reads class folders as the study did, endlessly and shuffled.

    Args:
        folder: One folder of PNG files for each class.
        augment: With the study's shear, zoom, flip and noise; without, only rescaled.

    Returns:
        Batches of (32, 150, 150, 3) float32 and (32, classes) one-hot float32.
    """
    settings = {
        "shear_range": 0.2,
        "zoom_range": 0.2,
        "horizontal_flip": True,
        "preprocessing_function": _noisy,
    }
    reader = tf.keras.preprocessing.image.ImageDataGenerator(
        rescale=1.0 / 255, **(settings if augment else {})
    )
    with contextlib.redirect_stdout(io.StringIO()):  # It prints a count each time.
        batches: Iterator[Batch] = reader.flow_from_directory(
            str(folder),
            target_size=(SIDE, SIDE),
            batch_size=BATCH,
            class_mode="categorical",
        )
    return batches


def network() -> keras.Model:
    """Builds and compiles the submitted network: 4 convolutions, 3 dense layers."""
    layers = keras.layers
    model = keras.Sequential([layers.Input((SIDE, SIDE, 3))])
    for filters, kernel in ((32, 3), (64, 2), (64, 2), (64, 2)):
        model.add(layers.Conv2D(filters, kernel, padding="same", activation="relu"))
        model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    for units in (512, 256, 128):
        model.add(layers.Dense(units, activation="relu"))
        model.add(layers.Dropout(0.5))
    model.add(layers.Dense(CLASSES, activation="softmax"))
    model.compile(
        loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"]
    )
    return model


def train(model: keras.Model, batches: Iterator[Batch], steps: int) -> int:
    """Trains for a number of steps as the study's `fit` did; returns the slices."""
    model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0)
    return steps * BATCH


def accuracy(model: keras.Model, folder: Path) -> float:
    """Evaluates as the study did: every file once, only rescaled; share of right."""
    found = model.evaluate(
        generator(folder, augment=False), verbose=0, return_dict=True
    )
    return float(found["accuracy"])


def _noisy(image: NDArray[np.float32]) -> NDArray[np.float32]:
    noise = np.random.normal(0, 0.1, image.shape)
    return (image + noise).astype(np.float32)
