"""Searches for hyper-parameters."""

import pipeline as pipeline  # first: it keeps TensorFlow from filling the screen
