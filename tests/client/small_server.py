"""A gRPC server of TF Serving's API that starts in no time: no TensorFlow in it.

It speaks the client's own messages, of which `test_messages.py` shows that the official
ones are the same bytes. Run as a program, it can be killed.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, MutableSequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np

from mri_contrast import _messages as m

Says = Callable[[np.ndarray], dict[str, np.ndarray]]
CLASSES = ("T1", "T2", "FLAIR", "other")
BRIGHT = {"other": 65, "T2": 128, "T1": 185, "FLAIR": 250}
"""Of a head's slices: what `by_brightness` tells classes by."""


def ball(contrast: str, side: int = 48) -> np.ndarray:
    """A head as bright as a class; the bright disc in its middle sets the window."""
    axes = np.meshgrid(*(np.linspace(-1, 1, side),) * 3, indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.8
    level = {"FLAIR": 1000, "T1": 700, "T2": 420, "other": 140}[contrast]
    voxels = np.where(inside, level, 0).astype(np.int16)
    voxels[inside & (np.abs(axes[0]) < 0.12)] = 1000
    return voxels


def by_brightness(slices: np.ndarray) -> dict[str, np.ndarray]:
    """The class whose brightness is nearest to the mean of what is not black."""
    means = np.array([one[one > 0].mean() if one.any() else 0 for one in slices])
    distance = np.abs(means[:, None] - np.array([BRIGHT[c] for c in CLASSES]))
    shares = np.where(distance == distance.min(1, keepdims=True), 0.97, 0.01)
    return {c: np.log(shares[:, i]).astype(np.float32) for i, c in enumerate(CLASSES)}


def always(contrast: str) -> Says:
    """Says the same of whatever it is shown."""
    share = {c: 0.97 if c == contrast else 0.01 for c in CLASSES}
    return lambda slices: {
        c: np.full(len(slices), np.log(share[c]), np.float32) for c in CLASSES
    }


class SmallServer:
    """Answers Predict, GetModelMetadata and GetModelStatus.

    Attributes:
        requests: the Predict requests that came, as they were understood.
        metadata: what came with them.
        fails: status codes of the next Predict calls, one each.
        delays: seconds that the next Predict calls take, one each; then no time.
        late_fails: as `fails`, but after the delay.
        version: that answers.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        says: Says = by_brightness,
        credentials: Any = None,
        signature: str = "slices_v1",
    ) -> None:
        self.requests: MutableSequence[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.fails: list[tuple[grpc.StatusCode, str]] = []
        self.delays: list[float] = []
        self.late_fails: list[tuple[grpc.StatusCode, str]] = []
        self.version = 7
        self._says, self._signature = says, signature
        self._stopping = threading.Event()
        self._server = grpc.server(
            ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)]
        )
        handlers = {
            "PredictionService": {
                "Predict": _handler(self._predict, m.PredictRequest),
                "GetModelMetadata": _handler(self._describe, m.GetModelMetadataRequest),
            },
            "ModelService": {
                "GetModelStatus": _handler(self._status, m.GetModelStatusRequest)
            },
        }
        for service, methods in handlers.items():
            self._server.add_generic_rpc_handlers(
                [
                    grpc.method_handlers_generic_handler(
                        f"tensorflow.serving.{service}", methods
                    )
                ]
            )
        address = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )
        # Not localhost: of its two addresses gRPC tells the last one's error only.
        self.target = f"127.0.0.1:{self.port}"
        self._server.start()

    def __enter__(self) -> SmallServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        self._server.stop(0).wait()

    def _predict(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        sent = dict(context.invocation_metadata())
        self.metadata.append({**sent, "peer": context.peer()})
        if self.fails:
            context.abort(*self.fails.pop(0))
        if self.delays:
            self._stopping.wait(self.delays.pop(0))
        if self.late_fails:
            context.abort(*self.late_fails.pop(0))
        slices = m.to_array(request.inputs["slices"])
        response = m.PredictResponse()
        response.model_spec.version.value = self.version
        extra = {"aux_rho": 1.0, "aux_accept": 0.9}
        outputs = self._says(slices)
        for name, value in extra.items():
            outputs.setdefault(name, np.full(len(slices), value, np.float32))
        for name, values in outputs.items():
            response.outputs[name].CopyFrom(m.to_tensor(values))
        return response

    def _describe(self, request: Any, context: Any) -> Any:
        signatures = m.SignatureDefMap()
        signatures.signature_def[self._signature].method_name = "predict"
        response = m.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(signatures)
        return response

    def _status(self, request: Any, context: Any) -> Any:
        response = m.GetModelStatusResponse()
        response.model_version_status.add(version=self.version, state=30)
        return response


def _handler(method: Callable[[Any, Any], Any], request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        method,
        request_deserializer=request.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


if __name__ == "__main__":
    server = SmallServer(int(sys.argv[1]))
    print(server.port, flush=True)
    time.sleep(600)
