"""One step of two logical CPU devices with half a batch each, and what it must give.

The expected values are worked out from the joined batch and from its halves, by one
device and none of the code under test.

python tests/pipeline/two_device_step.py
"""

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.augment import STILL
from pipeline.devices import Devices, open_devices
from pipeline.step import StepConfig, compile_train_step

RATE = 0.5
LABELS = np.array([0, 1, 2, 3])


def cones() -> np.ndarray:
    """Slices that no flip and no quarter turn changes, each brighter than the last."""
    place = np.arange(150) - 74.5
    radius = np.hypot(place[:, None], place[None, :])
    brightness = np.array([40, 100, 160, 220])[:, None, None]
    return (brightness * np.clip(1 - radius / 70, 0, 1)).astype(np.uint8)


def network(*, normalised: bool) -> keras.Model:
    slices = keras.Input((150, 150, 1))
    features = slices
    if normalised:
        features = keras.layers.BatchNormalization(momentum=0.9)(features)
    pooled = keras.layers.Flatten()(keras.layers.AveragePooling2D(15)(features))
    weights = keras.initializers.GlorotUniform(0)
    logits = keras.layers.Dense(4, kernel_initializer=weights)(pooled)
    return keras.Model(slices, {"logits": logits})


def step_of_both(devices: Devices, *, normalised: bool) -> tuple[keras.Model, float]:
    """The network after the step, and the step's loss."""
    with devices.strategy.scope():
        model = network(normalised=normalised)
        optimizer = keras.optimizers.SGD(RATE)
        optimizer.build(model.trainable_variables)
    # What is left are flips and quarter turns, drawn by each device for itself.
    step = compile_train_step(model, optimizer, devices, StepConfig(STILL, 2))
    halves = [
        {"image": tf.constant(image), "label": tf.constant(label)}
        for image, label in zip(np.split(cones(), 2), np.split(LABELS, 2), strict=True)
    ]
    result = step(devices.together(halves), tf.constant(0), tf.constant(0.0))
    return model, float(result[0])


def step_of_one() -> tuple[list[np.ndarray], float]:
    """Weights after a step down the gradient of the joined batch, and its loss."""
    model = network(normalised=False)
    with tf.GradientTape() as tape:
        logits = model(cones()[..., None].astype(np.float32) / 255)["logits"]
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits)
        )
    gradients = tape.gradient(loss, model.trainable_variables)
    weights = [
        weight - RATE * gradient.numpy()
        for weight, gradient in zip(model.get_weights(), gradients, strict=True)
    ]
    return weights, float(loss)


def moving(image: np.ndarray) -> list[float]:
    """Moving mean and variance after a first step with these slices alone."""
    image = image / 255
    return [0.1 * float(image.mean()), 0.9 + 0.1 * float(image.var())]


def on_each(devices: Devices, variable: Any) -> list[Any]:
    parts = devices.strategy.experimental_local_results(variable.value)
    return [part.numpy().ravel().tolist() for part in parts]


def main() -> None:
    """Prints what came of the steps and what was to come of them."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, parts)
    devices = open_devices("cpu")
    linear, loss = step_of_both(devices, normalised=False)
    weights, expected_loss = step_of_one()
    normalised, _ = step_of_both(devices, normalised=True)
    report = {
        "loss": loss,
        "expected_loss": expected_loss,
        "weights": [on_each(devices, each) for each in linear.trainable_variables],
        "expected_weights": [each.ravel().tolist() for each in weights],
        "statistics": [
            on_each(devices, each) for each in normalised.non_trainable_variables
        ],
        "statistics_of_halves": [moving(image) for image in np.split(cones(), 2)],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
