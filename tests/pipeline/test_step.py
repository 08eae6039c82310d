"""The compiled steps, on networks small enough to reason about."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.augment import AugmentConfig
from pipeline.devices import open_devices
from pipeline.hyper import HyperParameters
from pipeline.model import build
from pipeline.step import (
    Batch,
    StepConfig,
    build_optimizer,
    compile_train_step,
    compile_validation_step,
    cosine_schedule,
)

SMALL = HyperParameters(filters=(4, 4), dense=(8,), dropout=0.0)


def batch(count: int = 8) -> Batch:
    draw = np.random.default_rng(0)
    return {
        "image": tf.constant(draw.integers(0, 256, (count, 150, 150)), tf.uint8),
        "label": tf.constant(draw.integers(0, 4, count), tf.int64),
        "plane": tf.constant(draw.integers(-1, 3, count), tf.int64),
        "gadolinium": tf.constant(draw.integers(-1, 2, count), tf.int64),
    }


def linear() -> keras.Model:
    """A network whose slices do not look at each other, as normalisation makes them."""
    slices = keras.Input((150, 150, 1))
    pooled = keras.layers.Flatten()(keras.layers.AveragePooling2D(15)(slices))
    weights = keras.initializers.GlorotUniform(0)
    values = {"logits": 4, "plane": 3, "gadolinium": 1}
    return keras.Model(
        slices,
        {
            name: keras.layers.Dense(count, kernel_initializer=weights)(pooled)
            for name, count in values.items()
        },
    )


def losses(
    model: keras.Model,
    steps: int = 3,
    *,
    pieces: int = 1,
    seed: int = 0,
    **how: str,
) -> list[float]:
    devices = open_devices(**how)
    optimizer = build_optimizer(
        model,
        cosine_schedule(1e-2, 10),
        weight_decay=1e-3,
        precision=devices.precision,
    )
    settings = StepConfig(AugmentConfig(), 8, pieces, seed)
    step = compile_train_step(model, optimizer, devices, settings)
    data = batch()
    return [
        float(step(data, tf.constant(number), tf.constant(0.0))[0])
        for number in range(steps)
    ]


def test_a_gradient_in_pieces_is_the_gradient_of_the_whole() -> None:
    whole, parts = linear(), linear()
    np.testing.assert_allclose(
        losses(whole), losses(parts, pieces=4), rtol=1e-5, atol=1e-6
    )
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def weights_after(
    model: keras.Model, data: Batch, *, heads_weight: float = 0.1
) -> dict[str, np.ndarray]:
    """The weights of the heads and of the body after two steps of plain descent."""
    devices = open_devices()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    settings = StepConfig(AugmentConfig(), 8, heads_weight=heads_weight)
    step = compile_train_step(model, optimizer, devices, settings)
    for number in range(2):
        step(data, tf.constant(number), tf.constant(0.0))
    return {weight.path: weight.numpy() for weight in model.trainable_variables}


def test_a_head_learns_from_the_slices_of_which_its_truth_is_known() -> None:
    fresh = {weight.path: weight.numpy() for weight in build(SMALL).trainable_variables}
    unknown = tf.fill((8,), tf.constant(-1, tf.int64))
    no_planes = weights_after(build(SMALL), {**batch(), "plane": unknown})
    both = weights_after(build(SMALL), batch())
    for name in ("plane/kernel", "gadolinium/kernel", "heads/kernel"):
        assert np.abs(both[name] - fresh[name]).max() > 1e-6, name
    np.testing.assert_array_equal(no_planes["plane/kernel"], fresh["plane/kernel"])
    np.testing.assert_array_equal(no_planes["plane/bias"], fresh["plane/bias"])
    changed = np.abs(no_planes["gadolinium/kernel"] - fresh["gadolinium/kernel"])
    assert changed.max() > 1e-6


def test_heads_that_learn_nothing_leave_the_body_as_it_is_without_them() -> None:
    unknown = tf.fill((8,), tf.constant(-1, tf.int64))
    silent = {**batch(), "plane": unknown, "gadolinium": unknown}
    plain = weights_after(build(dataclasses.replace(SMALL, heads=False)), batch())
    for data, weight in ((silent, 0.1), (batch(), 0.0)):
        found = weights_after(build(SMALL), data, heads_weight=weight)
        for name, value in plain.items():
            np.testing.assert_allclose(found[name], value, atol=1e-6)
    heeded = weights_after(build(SMALL), batch(), heads_weight=1.0)
    body = "convolution_0/kernel"
    assert np.abs(heeded[body] - plain[body]).max() > 1e-5


def test_the_reported_loss_is_that_of_the_class_alone() -> None:
    light, heavy = linear(), linear()
    data, devices = batch(), open_devices()
    reported = []
    for model, weight in ((light, 0.0), (heavy, 5.0)):
        optimizer = build_optimizer(model, cosine_schedule(1e-2, 10), weight_decay=0)
        settings = StepConfig(AugmentConfig(), 8, heads_weight=weight)
        step = compile_train_step(model, optimizer, devices, settings)
        reported.append(float(step(data, tf.constant(0), tf.constant(0.0))[0]))
    assert reported[0] == pytest.approx(reported[1], rel=1e-6)


@pytest.mark.parametrize("pieces", [0, 3])
def test_pieces_that_do_not_divide_the_batch_are_refused(pieces: int) -> None:
    with pytest.raises(ValueError, match=f"cut into {pieces} equal pieces"):
        StepConfig(AugmentConfig(), 8, pieces)


def test_a_step_is_a_function_of_seed_and_number() -> None:
    first, again, other = (
        losses(build(dataclasses.replace(SMALL, dropout=0.5)), seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_xla_takes_the_same_steps() -> None:
    plain = losses(build(SMALL))
    compiled = losses(build(SMALL), xla="on")
    np.testing.assert_allclose(compiled, plain, rtol=2e-3)


@pytest.mark.parametrize("xla", ["off", "on"])
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_learns_as_float32_and_keeps_float32_weights(
    precision: str, xla: str
) -> None:
    model = build(SMALL, precision=precision)
    mixed = losses(model, precision=precision, xla=xla)
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert model.get_layer("convolution_1").compute_dtype == precision[6:]
    np.testing.assert_allclose(mixed, losses(build(SMALL)), rtol=0.05)


def test_validation_counts_examples_and_not_what_fills_the_batch() -> None:
    model = build(SMALL)
    step = compile_validation_step(model, open_devices())
    data = {**batch(), "weight": tf.constant([1.0] * 5 + [0.0] * 3)}
    loss, right, count = step(data).numpy()
    logits = model(tf.cast(data["image"][:5], tf.float32)[..., None] / 255)["logits"]
    truth = data["label"][:5]
    assert count == 5
    assert right == np.sum(np.argmax(logits, 1) == truth)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
    assert loss == pytest.approx(float(tf.reduce_sum(expected)), rel=1e-5)


def test_the_learning_rate_rises_shortly_and_falls_to_a_hundredth() -> None:
    rates = [float(cosine_schedule(1e-3, 1000)(step)) for step in range(1001)]
    assert np.argmax(rates) == 50
    assert max(rates) == pytest.approx(1e-3)
    assert rates[0] == pytest.approx(1e-3 / 20)
    assert rates[-1] == pytest.approx(1e-5)
    assert np.all(np.diff(rates[50:]) <= 0)
