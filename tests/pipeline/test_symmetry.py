"""Layers that turn with the slice, and the network of them that does not care."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import augment
from pipeline.hyper import HyperParameters
from pipeline.model import build
from pipeline.symmetry import (
    ORDER,
    SymmetricConvolution,
    SymmetricNormalization,
    SymmetricPooling,
    turn,
)

HYPER = HyperParameters(filters=(8, 16, 24), symmetric=True, first_kernel=4)

every_symmetry = pytest.mark.parametrize("symmetry", range(ORDER))


def turned(slices: NDArray[np.float32], symmetry: int) -> NDArray[np.float32]:
    """(batch, side, side, channels) slices, turned."""
    first = tf.transpose(slices, [1, 2, 0, 3])
    moved: NDArray[np.float32] = tf.transpose(turn(first, symmetry), [2, 0, 1, 3])
    return np.asarray(moved)


@pytest.fixture
def slices() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((3, 150, 150, 1)).astype(np.float32)


def test_the_symmetries_are_the_eight_ways_that_a_square_can_lie(slices):
    ways = {turned(slices, symmetry).tobytes() for symmetry in range(ORDER)}
    expected = {
        np.ascontiguousarray(np.rot90(flipped, quarter, (1, 2))).tobytes()
        for flipped in (slices, slices[:, :, ::-1])
        for quarter in range(4)
    }
    assert ways == expected


@every_symmetry
def test_what_convolutions_find_turns_with_the_slice(slices, symmetry):
    lift = SymmetricConvolution(2, 4, strides=2, lifts=True)
    deeper = SymmetricConvolution(3, 3)

    def found(given: NDArray[np.float32]) -> NDArray[np.float32]:
        answer = np.asarray(deeper(tf.nn.relu(lift(given))))
        return answer.reshape(*answer.shape[:3], ORDER, 3)

    upright, moved = found(slices), found(turned(slices, symmetry))
    assert upright.shape[1:3] == (76, 76)
    expected = [
        turned(upright[..., orientation, :], symmetry) for orientation in range(ORDER)
    ]
    # The orientations have changed places; which went where is told by the values.
    places = [
        next(
            place
            for place in range(ORDER)
            if np.allclose(moved[..., place, :], one, atol=1e-5)
        )
        for one in expected
    ]
    assert sorted(places) == list(range(ORDER))


@every_symmetry
@pytest.mark.parametrize("training", [False, True])
def test_a_network_says_the_same_of_a_slice_however_it_lies(slices, symmetry, training):
    model = build(
        HyperParameters(
            filters=(8, 16, 24), symmetric=True, first_kernel=4, dropout=0.0
        )
    )
    upright = model(slices, training=training)
    moved = model(turned(slices, symmetry), training=training)
    for name in ("logits", "plane", "gadolinium"):
        np.testing.assert_allclose(upright[name], moved[name], atol=2e-5)
    assert np.ptp(np.asarray(upright["logits"])) > 1e-3


@pytest.mark.parametrize(
    ("kernel", "stride", "sides"),
    [(6, 2, (76, 38, 19)), (3, 1, (150, 75, 38)), (4, 3, (51, 26, 13))],
)
def test_sides_are_told_and_however_they_halve_nothing_is_left_out(
    slices, kernel, stride, sides
):
    hyper = HyperParameters(
        filters=(8, 8, 8),
        symmetric=True,
        first_kernel=kernel,
        first_stride=stride,
    )
    model = build(hyper)
    found = [model.get_layer(f"convolution_{n}").output.shape[1] for n in range(3)]
    assert tuple(found) == sides
    assert hyper.side == sides[-1]
    np.testing.assert_allclose(
        model(slices)["logits"], model(turned(slices, 5))["logits"], atol=2e-5
    )


def test_an_ordinary_network_does_not(slices):
    model = build(HyperParameters(filters=(8, 16, 24)))
    upright, moved = (model(given)["logits"] for given in (slices, turned(slices, 1)))
    assert np.abs(np.asarray(upright - moved)).max() > 1e-3


def test_statistics_are_those_of_all_orientations_laid_beside_each_other(slices):
    features = np.random.default_rng(1).normal(2, 3, (4, 5, 6, ORDER * 3))
    features = features.astype(np.float32)
    beside = features.reshape(4, 5, 6 * ORDER, 3)
    ours, keras_own = SymmetricNormalization(), keras.layers.BatchNormalization()
    for _ in range(2):
        answer = ours(features, training=True)
        expected = keras_own(beside, training=True)
    np.testing.assert_allclose(answer, np.reshape(expected, features.shape), atol=1e-5)
    for mine, other in zip(ours.weights, keras_own.weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)
    np.testing.assert_allclose(
        ours(features, training=False),
        np.reshape(keras_own(beside, training=False), features.shape),
        atol=1e-5,
    )


def test_features_far_from_0_keep_their_deviation():
    features = np.random.default_rng(2).normal(1000, 0.1, (8, 9, 9, ORDER * 2))
    layer = SymmetricNormalization(momentum=0.0)
    layer(features.astype(np.float32), training=True)
    np.testing.assert_allclose(layer.moving_variance, [0.01, 0.01], rtol=0.1)


def test_pooling_gives_mean_and_maximum_over_the_orientations():
    features = np.arange(2 * ORDER, dtype=np.float32).reshape(1, -1)
    pooled = SymmetricPooling()(features)
    np.testing.assert_allclose(pooled, [[7, 8, 14, 15]])


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_network_learns_in_every_precision(slices, precision):
    model = build(HYPER, precision=precision)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(slices, training=True)["logits"] ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    kernel = next(
        gradient
        for gradient, weight in zip(gradients, model.trainable_variables, strict=True)
        if weight.path.startswith("convolution_2")
    )
    assert kernel.dtype == tf.float32
    assert np.abs(np.asarray(kernel)).max() > 0


def test_a_saved_network_answers_the_same(slices, tmp_path: Path):
    model = build(HYPER)
    model(slices, training=True)  # so that statistics are not those of the start
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(slices)["logits"], again(slices)["logits"])


def test_the_augmentations_quarter_turns_change_nothing(slices):
    model = build(HYPER)
    drawn = augment.sample(augment.STILL, 3, tf.constant([1, 2]))
    changed = augment.apply(tf.constant(slices), drawn)
    assert np.abs(np.asarray(changed) - slices).max() > 0.1
    np.testing.assert_allclose(
        model(changed)["logits"], model(slices)["logits"], atol=1e-4
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"filters": (8, 12)}, "multiples of 8"),
        ({"normalise": False}, "normalise"),
        ({"pooling": "flatten"}, "pooling"),
        ({"last_pools": 1}, "last_pools"),
        ({"kernel": 2}, "kernel must be odd"),
        ({"first_kernel": 5}, "first_stride divide 150 where first_kernel is even"),
        ({"first_kernel": 6, "first_stride": 4}, "first_stride divide 150"),
    ],
)
def test_a_network_that_could_not_be_symmetric_is_refused(changes, named):
    settings = {"filters": (8, 16), "symmetric": True, "first_kernel": 4, **changes}
    with pytest.raises(ValueError, match=named):
        HyperParameters(**settings)
