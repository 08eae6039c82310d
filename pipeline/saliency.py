"""Where a network looked: the heat of the winning class, the same in run and export."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from mri_contrast.slices import SIZE
from pipeline.scoring import normalise


def logits_of(answer: Any) -> Any:
    """Returns the logits among what a network gives: alone, or named among others."""
    return answer["logits"] if isinstance(answer, Mapping) else answer


def heat_of(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the heat of the winning class by HiResCAM (arXiv:2011.08891).

    Activation times gradient, summed over the channels of the last feature map. For
    global average pooling and a dense layer it equals the class activation map.

    Args:
        model: Maps (n, 150, 150, 1) float32 in [0, 1] to logits, or to a dictionary
            with `logits`.

    Returns:
        A function from (n, 150, 150) uint8 to (n, 150, 150) float32 in [0, 1], each
        slice scaled to its own peak; 0 everywhere where nothing spoke for the winner.
    """
    logits = logits_of(model.output)
    last_map, head = _head_of(model, logits)
    # Named, since Keras' own names count the models of the process, into the export.
    body = keras.Model(model.inputs[0], last_map, name="body")

    def heat(slices: tf.Tensor) -> tf.Tensor:
        features = body(normalise(slices), training=False)
        with tf.GradientTape() as tape:
            tape.watch(features)
            winner = tf.reduce_max(head(features, training=False), axis=-1)
        gradients = tape.gradient(winner, features)
        spoke = tf.nn.relu(tf.reduce_sum(features * gradients, axis=-1, keepdims=True))
        large = tf.image.resize(tf.cast(spoke, tf.float32), (SIZE, SIZE))[..., 0]
        peak = tf.reduce_max(large, axis=(1, 2), keepdims=True)
        return tf.math.divide_no_nan(large, peak)

    return heat


def _head_of(model: keras.Model, logits: Any) -> tuple[Any, keras.Model]:
    """The last (n, h, w, c) features that logits come from, and the way on from there.

    Layers are listed from the input on. Features that lead elsewhere are passed over:
    Keras builds no model from them to the logits.
    """
    for layer in reversed(model.layers):
        features = layer.output
        if len(getattr(features, "shape", ())) == 4:
            try:
                return features, keras.Model(features, logits, name="head")
            except ValueError:
                continue
    raise ValueError(f"no layer of {model.name} that leads to the logits keeps places")
