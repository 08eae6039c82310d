"""What a network says of every slice of a split, kept with whose slice it was."""

import dataclasses
from collections.abc import Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mri_contrast.slices import SIZE
from mri_contrast.verdict import Verdict, combine
from pipeline.runs import Calibration


@dataclasses.dataclass(frozen=True, slots=True)
class Scores:
    """One row a slice.

    Attributes:
        logits: (slices, classes) float32, before the temperature.
        labels: (slices,) int64.
        scans: (slices,) names of the scans.
        sources: (slices,) where the scans come from.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    scans: NDArray[np.str_]
    sources: NDArray[np.str_]


def score(model: keras.Model, batches: Iterable[Mapping[str, tf.Tensor]]) -> Scores:
    """Runs the network once over every slice, in order.

    Args:
        model: Maps slices to logits.
        batches: Of `pipeline.dataset.evaluation_batches`.
    """
    logits, labels, scans, sources = [], [], [], []
    forward = forward_pass(model)
    for batch in batches:
        logits.append(forward(batch["image"]).numpy())
        labels.append(batch["label"].numpy())
        scans.append(batch["scan"].numpy().astype(str))
        sources.append(batch["source"].numpy().astype(str))
    return Scores(
        np.concatenate(logits),
        np.concatenate(labels),
        np.concatenate(scans),
        np.concatenate(sources),
    )


def forward_pass(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Compiles (batch, 150, 150) uint8 to (batch, classes) float32 logits."""

    @tf.function(input_signature=[tf.TensorSpec((None, SIZE, SIZE), tf.uint8)])
    def forward(image: tf.Tensor) -> tf.Tensor:
        return model(normalise(image), training=False)

    return forward


def normalise(image: tf.Tensor) -> tf.Tensor:
    """(batch, 150, 150) uint8 to (batch, 150, 150, 1) float32 in [0, 1]."""
    return tf.cast(image, tf.float32)[..., None] / 255.0


def log_softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Calibrated log-probabilities (slices, classes) of logits."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)))


def verdict_of(
    logits: NDArray[np.float32], classes: tuple[str, ...], calibration: Calibration
) -> Verdict:
    """The verdict on one scan, from the logits (slices, classes) of its slices."""
    logs = log_softmax(logits, calibration.temperature)
    return combine(
        {name: logs[:, index] for index, name in enumerate(classes)},
        rho=calibration.rho,
        accept=calibration.accept,
    )


def by_scan(scores: Scores) -> dict[str, NDArray[np.intp]]:
    """Rows of each scan, by its name."""
    order = np.argsort(scores.scans, kind="stable")
    names, starts = np.unique(scores.scans[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
