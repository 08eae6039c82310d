"""Measures speed and memory, side by side with peers and limits."""

import pipeline as pipeline  # first: it keeps TensorFlow from filling the screen
