"""MLServer with the released model: `python -m bench.peers.mlserver_host PORT SETTING`.

`batches` is its adaptive batching, `workers` runs two processes of the model.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlserver
import mlserver.codecs

from bench.peers import released


class Released(mlserver.MLModel):  # type: ignore[misc]
    """Takes an element of bytes for each slice."""

    async def load(self) -> bool:
        """Loads the model in the worker."""
        released.load(released.folder())
        return True

    async def predict(self, payload: Any) -> Any:
        """Runs the model beside the loop, so that requests are read meanwhile."""
        # Batched requests come as one list, others as an object around it.
        data = payload.inputs[0].data
        content = b"".join(getattr(data, "root", data))
        slices = released.as_slices(content)
        values = await asyncio.to_thread(released.log_probabilities, slices)
        return mlserver.types.InferenceResponse(
            model_name=self.name,
            outputs=[mlserver.codecs.NumpyCodec.encode_output("values", values)],
        )


def main() -> None:
    """Serves until it is ended."""
    port, setting = int(sys.argv[1]), sys.argv[2]
    batches = setting == "batches"
    with tempfile.TemporaryDirectory() as name:
        server = {
            "host": "127.0.0.1",
            "grpc_port": port,
            "http_port": 0,
            "metrics_port": 0,
            "parallel_workers": 2 if setting == "workers" else 0,
            "grpc_max_message_length": 2**30,
            "debug": False,
        }
        model = {
            "name": "mri_contrast",
            "implementation": "bench.peers.mlserver_host.Released",
            **({"max_batch_size": 24, "max_batch_time": 0.002} if batches else {}),
        }
        (Path(name) / "settings.json").write_text(json.dumps(server))
        (Path(name) / "model-settings.json").write_text(json.dumps(model))
        program = str(Path(sys.executable).with_name("mlserver"))
        os.spawnv(os.P_WAIT, program, [program, "start", name])


if __name__ == "__main__":
    main()
