"""BentoML with the released model: `python -m bench.peers.bentoml_host PORT SETTING`.

`batches` is its adaptive batching, `threads` runs sixteen requests in one worker.
"""

import base64
import os
import sys
from pathlib import Path

import bentoml
import numpy as np

from bench.peers import released

BATCHES = os.environ.get("BENCH_SETTING") == "batches"


@bentoml.service(name="released", workers=1, threads=16, traffic={"timeout": 120})
class Service:
    """Takes the base64 of each slice; it lets pickled arrays in from its own alone."""

    def __init__(self) -> None:
        """Loads the model in the worker."""
        released.load(released.folder())

    @bentoml.api(batchable=BATCHES, max_batch_size=24, max_latency_ms=60_000)
    def identify(self, slices: list[str]) -> np.ndarray:
        """Runs the model."""
        content = b"".join(map(base64.b64decode, slices))
        return np.asarray(released.log_probabilities(released.as_slices(content)))


def main() -> None:
    """Serves until it is ended."""
    os.environ["BENCH_SETTING"] = sys.argv[2]
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    bento = str(Path(sys.executable).with_name("bentoml"))
    place = ["--host", "127.0.0.1", "--port", sys.argv[1]]
    os.execv(bento, [bento, "serve", "bench.peers.bentoml_host:Service", *place])


if __name__ == "__main__":
    main()
