"""What a network says of every slice of a split, kept with whose slice it was."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mri_contrast.slices import SIZE
from mri_contrast.verdict import Verdict, combine
from pipeline.runs import Calibration

_SLICES: Final = tf.TensorSpec((None, SIZE, SIZE), tf.uint8)


@dataclasses.dataclass(frozen=True, slots=True)
class Scores:
    """One row a slice.

    Attributes:
        logits: (slices, classes) float32, before the temperature.
        labels: (slices,) int64.
        scans: (slices,) names of the scans.
        sources: (slices,) where the scans come from.
        planes: (slices,) int64 true index into `pipeline.labelled.PLANES`, -1 unknown.
        gadolinium: (slices,) int64 truth: 0 without, 1 with, -1 unknown.
        said_planes: (slices,) int64 likeliest plane; None of a network without heads.
        said_gadolinium: (slices,) float32 probability of contrast agent, given that it
            is a T1; None of a network without heads.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    scans: NDArray[np.str_]
    sources: NDArray[np.str_]
    planes: NDArray[np.int64] | None = None
    gadolinium: NDArray[np.int64] | None = None
    said_planes: NDArray[np.int64] | None = None
    said_gadolinium: NDArray[np.float32] | None = None


def score(model: keras.Model, batches: Iterable[Mapping[str, tf.Tensor]]) -> Scores:
    """Runs the network once over every slice, in order.

    Args:
        model: Of `pipeline.model`, or one that answers as it does.
        batches: Of `pipeline.dataset.evaluation_batches`.
    """
    columns: dict[str, list[NDArray[Any]]] = defaultdict(list)
    forward = answer_pass(model)
    for batch in batches:
        for name, values in (forward(batch["image"]) | _truth(batch)).items():
            columns[name].append(values.numpy())
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    for name in ("scans", "sources"):
        table[name] = table[name].astype(str)
    return Scores(**table)


def _truth(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a batch tells of its slices, named as in `Scores`."""
    return {
        "labels": batch["label"],
        "scans": batch["scan"],
        "sources": batch["source"],
        "planes": batch["plane"],
        "gadolinium": batch["gadolinium"],
    }


def forward_pass(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Compiles (batch, 150, 150) uint8 to (batch, classes) float32 logits."""

    @tf.function(input_signature=[_SLICES])
    def forward(image: tf.Tensor) -> tf.Tensor:
        return model(normalise(image), training=False)["logits"]

    return forward


def answer_pass(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Compiles (batch, 150, 150) uint8 to all that the network says of the slices.

    The function gives `logits` (batch, classes) float32 and, where the network has
    heads, what `said` gives, each (batch,).
    """

    @tf.function(input_signature=[_SLICES])
    def answer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model(normalise(image), training=False)
        return {"logits": outputs["logits"], **said(outputs)}

    return answer


def said(outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What the heads say; nothing where the network has none.

    Args:
        outputs: Of the network.

    Returns:
        `said_planes` (batch,) int64, the likeliest, and `said_gadolinium` (batch,)
        float32, the probability of contrast agent given that it is a T1.
    """
    found = {}
    if "plane" in outputs:
        found["said_planes"] = tf.argmax(outputs["plane"], axis=1)
    if "gadolinium" in outputs:
        logits = tf.cast(outputs["gadolinium"][:, 0], tf.float32)
        found["said_gadolinium"] = tf.sigmoid(logits)
    return found


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
