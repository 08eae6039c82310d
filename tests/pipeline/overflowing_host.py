"""One of two hosts, whose float16 gradients overflow on the first host alone.

TF_CONFIG=… python tests/pipeline/overflowing_host.py
"""

import numpy as np
import tensorflow as tf

from pipeline.augment import AugmentConfig
from pipeline.devices import open_devices
from pipeline.hyper import HyperParameters
from pipeline.model import build
from pipeline.step import (
    StepConfig,
    build_optimizer,
    compile_train_step,
    cosine_schedule,
)


def main() -> None:
    """Takes four steps and prints the loss scale after each."""
    devices = open_devices(precision="mixed_float16")
    with devices.strategy.scope():
        model = build(HyperParameters((4, 4), dense=(8,)), precision=devices.precision)
        optimizer = build_optimizer(
            model, cosine_schedule(1e-2, 10), weight_decay=0, precision="mixed_float16"
        )
    optimizer.dynamic_scale.assign(2.0**18)
    step = compile_train_step(model, optimizer, devices, StepConfig(AugmentConfig(), 4))
    draw = np.random.default_rng(0)
    noise, black = draw.integers(0, 256, (4, 150, 150)), np.zeros((4, 150, 150))
    batch = {
        "image": tf.constant(noise if devices.worker == 0 else black, tf.uint8),
        "label": tf.constant([0, 1, 2, 3], tf.int64),
        "plane": tf.constant([0, 1, 2, -1], tf.int64),
        "gadolinium": tf.constant([1, -1, -1, -1], tf.int64),
    }
    for number in range(4):
        step(devices.together([batch]), tf.constant(number), tf.constant(0.0)).numpy()
        print(float(optimizer.dynamic_scale.numpy()), flush=True)


if __name__ == "__main__":
    main()
