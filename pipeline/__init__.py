"""From scans to an evaluated model."""

import os

# TensorFlow reports missing GPUs on every start, as errors. What really goes wrong
# reaches us as exceptions, so only fatal failures may write here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# TensorFlow turns oneDNN's kernels on by itself only on the newest CPUs; with them a
# training step takes 0.6 of the time on any that has AVX2.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
