"""How each server is asked: by bytes made once, so that servers are what is measured.

Ours is also asked as a program would ask it, through the client.
"""

import base64
import http.client
import json
from collections.abc import Callable
from typing import Any, Final, Protocol

import grpc
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from numpy.typing import NDArray

import mri_contrast.client
from bench.load import Ask
from mri_contrast import _messages
from mri_contrast._cut import Cut
from pipeline.contrasts import CLASSES

TIMEOUT: Final = 120.0
"""Seconds for an answer."""

MODEL: Final = "mri_contrast"

LARGE: Final = [("grpc.max_receive_message_length", -1)]

Values = NDArray[np.float32]
"""(slices, classes) log-probabilities."""

Exchange = Callable[[], bytes]
"""Sends the request, returns the answer."""


class Form(Protocol):
    """How a server is spoken to."""

    def __call__(self, port: int, slices: NDArray[np.uint8]) -> "Spoken":
        """Makes the request for a server at this port of this machine."""


class Spoken:
    """A request to a server, and how its answer is read."""

    def __init__(
        self, connect: Callable[[], Exchange], read: Callable[[bytes], Values]
    ) -> None:
        """Takes what makes a connection, and what reads an answer."""
        self._connect, self._read = connect, read

    def values(self) -> Values:
        """Asks once.

        Raises:
            OSError, http.client.HTTPException, grpc.RpcError: There is no answer.
            ValueError: It cannot be read.
        """
        return self._read(self._connect()())

    def connect(self) -> Ask:
        """Makes what a thread asks with; answers are read by `values` alone."""
        exchange = self._connect()

        def ask() -> None:
            exchange()

        return ask


def tensorflow_serving(port: int, slices: NDArray[np.uint8]) -> Spoken:
    """Predict over gRPC."""
    request = _messages.PredictRequest()
    request.model_spec.name = MODEL
    request.model_spec.signature_name = "slices_v1"
    request.inputs["slices"].CopyFrom(_messages.to_tensor(slices))
    request.output_filter.extend(CLASSES)

    def read(answer: bytes) -> Values:
        outputs = _messages.PredictResponse.FromString(answer).outputs
        columns = [_messages.to_array(outputs[name]) for name in CLASSES]
        return np.stack(columns, axis=1)

    method = "/tensorflow.serving.PredictionService/Predict"
    return Spoken(_grpc(port, method, request.SerializeToString()), read)


def litserve(port: int, slices: NDArray[np.uint8]) -> Spoken:
    """JSON that carries the slices as base64, as its guides send images."""
    asked = {
        "count": len(slices),
        "slices": base64.b64encode(slices.tobytes()).decode(),
    }
    return Spoken(
        _post(port, "/predict", "application/json", json.dumps(asked).encode()),
        lambda answer: np.asarray(json.loads(answer)["values"], np.float32),
    )


def bentoml(port: int, slices: NDArray[np.uint8]) -> Spoken:
    """JSON that carries the base64 of each slice, so that requests can be joined."""
    asked = {"slices": [base64.b64encode(one.tobytes()).decode() for one in slices]}
    return Spoken(
        _post(port, "/identify", "application/json", json.dumps(asked).encode()),
        lambda answer: np.asarray(json.loads(answer), np.float32),
    )


def mlserver(port: int, slices: NDArray[np.uint8]) -> Spoken:
    """KServe's protocol over gRPC with raw contents.

    A slice is one element of bytes: as numbers, each pixel would be a Python object.
    """
    request = _kserve("ModelInferRequest")(model_name=MODEL)
    request.inputs.add(name="slices", datatype="BYTES", shape=[len(slices)])
    size = slices[0].nbytes.to_bytes(4, "little")
    request.raw_input_contents.append(b"".join(size + one.tobytes() for one in slices))

    def read(answer: bytes) -> Values:
        (content,) = (
            _kserve("ModelInferResponse").FromString(answer).raw_output_contents
        )
        return np.frombuffer(content, np.float32).reshape(len(slices), -1)

    method = "/inference.GRPCInferenceService/ModelInfer"
    return Spoken(_grpc(port, method, request.SerializeToString()), read)


def through_client(
    client: mri_contrast.client.Client, slices: NDArray[np.uint8]
) -> Ask:
    """Asks as the client does once it has cut a scan: to the verdict."""
    cut = Cut(slices)
    protocol = client._protocol

    def ask() -> None:
        request = protocol.predict_request(slices)
        response = client._call("PredictionService/Predict", request)
        protocol.answers(response, [cut])

    return ask


def _grpc(port: int, method: str, request: bytes) -> Callable[[], Exchange]:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=LARGE)
    call = channel.unary_unary(method)
    return lambda: lambda: call(request, timeout=TIMEOUT)


def _post(port: int, path: str, kind: str, body: bytes) -> Callable[[], Exchange]:
    def connect() -> Exchange:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

        def respond() -> http.client.HTTPResponse:
            connection.request("POST", path, body, {"Content-Type": kind})
            return connection.getresponse()

        def exchange() -> bytes:
            try:
                response = respond()
            except ConnectionError:  # closed by the server while others had their turn
                connection.close()
                response = respond()
            answer = response.read()
            if response.status != 200:
                raise http.client.HTTPException(
                    f"HTTP status {response.status}: {answer[:200]!r}"
                )
            return answer

        return exchange

    return connect


def _kserve(name: str) -> Any:
    """A message of KServe's `grpc_predict_v2.proto`, with the fields that are used.

    https://github.com/kserve/open-inference-protocol
    """
    return message_factory.GetMessageClass(
        _KSERVE.FindMessageTypeByName(f"inference.{name}")
    )


def _kserve_pool() -> descriptor_pool.DescriptorPool:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="kserve.proto", package="inference", syntax="proto3"
    )
    tensor = file.message_type.add(name="Tensor")
    tensor.field.add(name="name", number=1, type=kinds.TYPE_STRING, label=1)
    tensor.field.add(name="datatype", number=2, type=kinds.TYPE_STRING, label=1)
    tensor.field.add(name="shape", number=3, type=kinds.TYPE_INT64, label=3)
    for name, tensors, number in (
        ("ModelInferRequest", "inputs", 5),
        ("ModelInferResponse", "outputs", 5),
    ):
        message = file.message_type.add(name=name)
        message.field.add(name="model_name", number=1, type=kinds.TYPE_STRING, label=1)
        message.field.add(
            name=tensors,
            number=number,
            type=kinds.TYPE_MESSAGE,
            type_name=".inference.Tensor",
            label=3,
        )
        raw = "raw_input_contents" if tensors == "inputs" else "raw_output_contents"
        message.field.add(
            name=raw,
            number=7 if tensors == "inputs" else 6,
            type=kinds.TYPE_BYTES,
            label=3,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_KSERVE: Final = _kserve_pool()
