"""From scans to an evaluated model."""

import os

# TensorFlow reports missing GPUs on every start, as errors. What really goes wrong
# reaches us as exceptions, so only fatal failures may write here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
