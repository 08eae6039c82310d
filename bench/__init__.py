"""Measures speed and memory, side by side with peers and limits."""
