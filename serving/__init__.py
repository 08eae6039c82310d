"""From a run to answers: export, registry, server, client."""

import logging
import os

# TensorFlow reports missing GPUs and its own deprecations on every start. What goes
# wrong reaches us as exceptions anyway, so only fatal failures may write here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("tensorflow").setLevel(logging.ERROR)
