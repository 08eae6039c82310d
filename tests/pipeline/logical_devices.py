"""Trains as `python -m pipeline.train` does, on one CPU cut into logical devices.

python tests/pipeline/logical_devices.py COUNT --shards … --run …
"""

import sys

import tensorflow as tf

from pipeline.train import main

if __name__ == "__main__":
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * int(sys.argv.pop(1))
    tf.config.set_logical_device_configuration(cpu, parts)
    sys.exit(main())
