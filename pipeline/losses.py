"""What training makes small: a loss for each slice and each output of the network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import keras
import tensorflow as tf

HEADS: Final = ("plane", "gadolinium")
"""Outputs beside the class. What they learn is not known of every slice."""


def truths_of(model: keras.Model) -> Sequence[str]:
    """Names of what a batch must tell of its slices, for the outputs that there are."""
    return ("label", *(name for name in HEADS if name in model.output))


def losses(
    outputs: Mapping[str, tf.Tensor], truth: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Cross-entropies of all outputs, in float32.

    Args:
        outputs: Of the network: `logits` and, where it has heads, `plane` and
            `gadolinium`, (batch, values) logits.
        truth: `label` and, where it has heads, `plane` and `gadolinium`, (batch,)
            int64.

    Returns:
        `label`, and each head, (batch,) float32: 0 where the truth is unknown, so that
        neither loss nor gradient comes of it.
    """
    found = {"label": _of_classes(outputs["logits"], truth["label"])}
    if "plane" in outputs:
        found["plane"] = _of_known(_of_classes, outputs["plane"], truth["plane"])
    if "gadolinium" in outputs:
        found["gadolinium"] = _of_known(
            _of_yes_or_no, outputs["gadolinium"], truth["gadolinium"]
        )
    return found


def _of_known(
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    logits: tf.Tensor,
    truth: tf.Tensor,
) -> tf.Tensor:
    """A loss where the truth is known, else 0."""
    return tf.where(truth >= 0, loss(logits, tf.maximum(truth, 0)), 0.0)


def _of_classes(logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    logits = tf.cast(logits, tf.float32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)


def _of_yes_or_no(logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    logits, truth = tf.cast(logits[:, 0], tf.float32), tf.cast(truth, tf.float32)
    return tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
