"""The embedded server: what works against it works against TensorFlow Serving."""
