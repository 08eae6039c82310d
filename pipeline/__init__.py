"""From scans to an evaluated model."""

import os

# TensorFlow's start-up notes would bury the first lines of every command.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
