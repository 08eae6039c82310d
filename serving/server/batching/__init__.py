"""Merges calls that wait for the same computation, as TF Serving's batching does."""
