"""LitServe with the released model: `python -m bench.peers.litserve_host PORT SETTING`.

`batches` joins up to 24 requests that wait, `workers` runs two processes of the model.
The queue between the processes is the fast one of its guides.
"""

import base64
import sys
from typing import Any

import litserve
from fastapi import Request

from bench.peers import released


class Api(litserve.LitAPI):  # type: ignore[misc]
    """Takes `{"slices": base64}`, gives `{"values": [[...]]}`."""

    def setup(self, device: Any) -> None:
        """Loads the model in the worker."""
        released.load(released.folder())

    def decode_request(self, request: Request) -> Any:
        """Reads the slices."""
        return released.as_slices(base64.b64decode(request["slices"]))

    def predict(self, slices: Any) -> Any:
        """Runs the model."""
        return released.log_probabilities(slices)

    def encode_response(self, output: Any) -> Any:
        """Writes the values."""
        return {"values": output.tolist()}


class Batching(Api):
    """Joins requests of any number of slices."""

    def batch(self, inputs: Any) -> Any:
        """Joins the slices, and remembers whose they are."""
        import numpy as np

        return np.concatenate(inputs), np.cumsum([len(each) for each in inputs])[:-1]

    def predict(self, joined: Any) -> Any:
        """Runs the model on all."""
        import numpy as np

        slices, ends = joined
        return np.split(released.log_probabilities(slices), ends)

    def unbatch(self, output: Any) -> Any:
        """Gives each request its part."""
        return output


def main() -> None:
    """Serves until it is ended."""
    port, setting = int(sys.argv[1]), sys.argv[2]
    batches = setting == "batches"
    api = Batching(max_batch_size=24, batch_timeout=0.002) if batches else Api()
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=1 if batches else 2,
        timeout=120,
        fast_queue=True,
    )
    server.run(host="127.0.0.1", port=port, generate_client_file=False)


if __name__ == "__main__":
    main()
