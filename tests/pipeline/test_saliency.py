"""The heat of a network whose class activation map can be worked out otherwise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.saliency import heat_of, logits_of


@pytest.mark.parametrize("named", [False, True])
def test_heat_is_the_class_activation_map_with_one_head_or_several(named: bool) -> None:
    keras.utils.set_random_seed(3)
    slices = keras.Input((150, 150, 1))
    features = keras.layers.Conv2D(6, 5, strides=10, activation="relu")(slices)
    average = keras.layers.GlobalAveragePooling2D()(features)
    dense = keras.layers.Dense(4)
    logits = dense(average)
    plane = keras.layers.Dense(3)(average)
    # A map beside the way to the logits, and deeper than the one on it.
    beside = keras.layers.Conv2D(2, 1)(keras.layers.Conv2D(2, 1)(features))
    beside = keras.layers.Conv2D(2, 1, name="beside")(beside)
    outputs = {"plane": plane, "logits": logits, "beside": beside} if named else logits
    model = keras.Model(slices, outputs)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 150, 150), dtype=np.uint8)

    found = heat_of(model)(tf.constant(pixels)).numpy()

    shown = pixels[..., None].astype(np.float32) / 255
    maps = keras.Model(slices, features)(shown).numpy()
    winners = logits_of(model(shown)).numpy().argmax(axis=1)
    spoke = np.einsum("nhwc,cn->nhw", maps, dense.kernel.numpy()[:, winners])
    large = tf.image.resize(spoke.clip(0)[..., None], (150, 150))[..., 0].numpy()
    peak = large.max(axis=(1, 2), keepdims=True)
    expected = np.divide(large, peak, out=np.zeros_like(large), where=peak > 0)
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4)
