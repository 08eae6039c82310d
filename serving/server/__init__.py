"""The embedded server: what works against it works against TensorFlow Serving."""

import os

# With oneDNN's kernels, which `pipeline` turns on, a convolution that is fed a tensor
# of wrong rank ends the process instead of refusing. Our own exports check it, but not
# every SavedModel declares a rank; 1 in the environment trades that for speed.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
