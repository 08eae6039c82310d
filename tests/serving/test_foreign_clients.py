"""Clients that other people wrote for TensorFlow Serving, unchanged, ask our server.

`.ci/install-clients build/clients` installs those that Debian does not have.
"""

import base64
import dataclasses
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from pipeline.contrasts import CLASSES
from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer

NAME = "mri_contrast"
PROGRAMS = Path(__file__).parent / "foreign"
CLIENTS = Path(__file__).parents[2] / "build" / "clients"
PREDICT = "tensorflow.serving.PredictionService/Predict"


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Where the server listens, as HOST:PORT."""

    grpc: str
    rest: str


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Addresses]:
    config = ServerConfig(
        port=0,
        rest_api_port=0,
        model_config_file=root / "models.config",
        enable_model_warmup=False,
    )
    with EmbeddedServer(config) as (grpc_port, rest_port):
        yield Addresses(f"127.0.0.1:{grpc_port}", f"127.0.0.1:{rest_port}")


@pytest.fixture(scope="module")
def protoset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Definition of the PredictionService, as protoc --descriptor_set_out writes it."""
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(descriptor: Any) -> None:
        for each in descriptor.dependencies:
            add(each)
        if descriptor.name not in files:
            files[descriptor.name] = descriptor_pb2.FileDescriptorProto()
            descriptor.CopyToProto(files[descriptor.name])

    add(predict_pb2.DESCRIPTOR)
    # Newer protobufs cannot import the wheel's own prediction_service_pb2.
    service = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/apis/prediction_service.proto",
        package="tensorflow.serving",
        dependency=[predict_pb2.DESCRIPTOR.name],
        syntax="proto3",
    )
    service.service.add(name="PredictionService").method.add(
        name="Predict",
        input_type=".tensorflow.serving.PredictRequest",
        output_type=".tensorflow.serving.PredictResponse",
    )
    path = tmp_path_factory.mktemp("definitions") / "services.fds"
    whole = descriptor_pb2.FileDescriptorSet(file=[*files.values(), service])
    path.write_bytes(whole.SerializeToString())
    return path


@pytest.fixture(scope="module")
def request_message(slices: np.ndarray) -> predict_pb2.PredictRequest:
    """Asks version 1 about the slices."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.model_spec.version.value = 1
    request.inputs["slices"].CopyFrom(tf.make_tensor_proto(slices))
    return request


def tool(name: str, *places: str, get: str) -> str:
    """Path of a program; skips the test, or fails it where tools are required."""
    folders = [*(str(CLIENTS / place) for place in places), os.environ["PATH"]]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        missing(f"{name} is not installed; {get}")
    return found


def missing(text: str) -> None:
    if os.environ.get("MRI_REQUIRE_TOOLS") == "1":
        pytest.fail(text)
    pytest.skip(text)


def installed(place: str) -> Path:
    """A folder that `.ci/install-clients` makes."""
    path = CLIENTS / place
    if not path.exists():
        missing(f"{path} is missing; .ci/install-clients build/clients makes it")
    return path


def output_of(*command: str | Path, given: str = "", code: int = 0) -> str:
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + (done.stderr if code else "")


def assert_says(outputs: dict[str, Any], expected: np.ndarray) -> None:
    """Checks the log-probabilities of each class."""
    said = np.stack([outputs[name] for name in CLASSES], axis=1)
    np.testing.assert_allclose(said, expected, atol=1e-4)


def test_the_stubs_of_tensorflow_serving_api_ask_many_things_at_once(
    server, request_message, expected
):
    """As TF Serving's own example does: futures with callbacks, some at a time."""
    places, done = threading.Semaphore(8), threading.Event()
    answers: list[predict_pb2.PredictResponse] = []
    with grpc.insecure_channel(server.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def take(future: grpc.Future) -> None:
            answers.append(future.result())
            places.release()
            if len(answers) == 100:
                done.set()

        for _ in range(100):
            places.acquire()
            stub.Predict.future(request_message, 60.0).add_done_callback(take)
        assert done.wait(60)
    for answer in answers:
        arrays = {name: tf.make_ndarray(answer.outputs[name]) for name in CLASSES}
        assert_says(arrays, expected)


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_ovmsclient_asks_a_version(server, slices, expected, tmp_path, transport):
    python = installed("python/bin/python")
    np.save(tmp_path / "slices.npy", slices)
    target = {"grpc": server.grpc, "http": server.rest}[transport]
    program = [python, PROGRAMS / "ovms.py", transport, target]
    said = json.loads(output_of(*program, tmp_path / "slices.npy"))
    assert_says(said["outputs"], expected)
    assert said["status"]["1"]["state"] == "AVAILABLE"
    if transport == "grpc":
        assert said["metadata"]["inputs"]["slices"]["shape"] == [-1, 150, 150]
    else:  # It reads OpenVINO's spelling, and hands TF Serving's over as it is.
        assert said["metadata"]["model_spec"]["version"] == "1"
    assert "is not compatible with expected shape [?,150,150]" in said["refusal"]


def test_a_node_program_asks_by_label(server, protoset, slices, expected):
    node = tool("node", get="apt-get install nodejs npm")
    modules = installed("node/node_modules")
    content = base64.b64encode(slices.tobytes()).decode()

    def ask(**spec: str) -> Any:
        asked = {"model_spec": spec, "shape": slices.shape, "content": content}
        program = [node, PROGRAMS / "predict.mjs", modules, protoset, server.grpc]
        return json.loads(output_of(*program, given=json.dumps(asked)))

    answer = ask(name=NAME, version_label="stable")
    outputs = {each["key"]: each["value"]["float_val"] for each in answer["outputs"]}
    assert_says(outputs, expected)
    assert answer["model_spec"]["version"] == {"value": 1}
    assert ask(name="nothing") == {
        "code": grpc.StatusCode.NOT_FOUND.value[0],
        "text": "Servable not found for request: Latest(nothing)",
    }


@pytest.fixture(scope="module")
def grpcurl() -> list[str]:
    install = ".ci/install-clients build/clients installs it"
    return [tool("grpcurl", "python/bin", get=install), "-plaintext"]


def test_grpcurl_with_definitions_asks_without_a_deadline(
    server, grpcurl, protoset, slices, expected
):
    tensor = {
        "dtype": "DT_UINT8",
        "tensor_shape": {"dim": [{"size": side} for side in slices.shape]},
        "tensor_content": base64.b64encode(slices.tobytes()).decode(),
    }
    asked = {"model_spec": {"name": NAME, "version": 1}, "inputs": {"slices": tensor}}
    call = [*grpcurl, "-protoset", str(protoset), "-d", "@", server.grpc]
    answer = json.loads(output_of(*call, PREDICT, given=json.dumps(asked)))
    outputs = {name: each["float_val"] for name, each in answer["outputs"].items()}
    assert_says(outputs, expected)
    asked["inputs"]["slices"]["tensor_shape"]["dim"].pop()
    # 64 and the code, as grpcurl says which one it got.
    refused = output_of(*call, PREDICT, given=json.dumps(asked), code=64 + 3)
    assert "Code: InvalidArgument" in refused


def test_grpcurl_finds_the_services_by_reflection(server, grpcurl):
    if not reflects(server.grpc):
        pytest.skip("the server does not offer grpc.reflection")
    listed = output_of(*grpcurl, server.grpc, "list").split()
    assert {
        "grpc.health.v1.Health",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService",
    } <= set(listed)
    asked = json.dumps({"model_spec": {"name": NAME, "version": 1}})
    status = "tensorflow.serving.ModelService/GetModelStatus"
    answer = json.loads(output_of(*grpcurl, "-d", asked, server.grpc, status))
    assert answer["model_version_status"][0]["state"] == "AVAILABLE"


def reflects(target: str) -> bool:
    """Asks the server for the service, by an empty request."""
    method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with grpc.insecure_channel(target) as channel:
        try:
            list(channel.stream_stream(method)(iter([b""]), timeout=30))
        except grpc.RpcError as error:
            return error.code() is not grpc.StatusCode.UNIMPLEMENTED
    return True


def test_h2load_gets_an_answer_to_every_call(server, request_message, tmp_path):
    h2load = tool("h2load", get="apt-get install nghttp2-client")
    message = request_message.SerializeToString()
    with grpc.insecure_channel(server.grpc) as channel:
        answer = len(channel.unary_unary(f"/{PREDICT}")(message, timeout=60))
    # A gRPC frame: not compressed, length, message.
    (tmp_path / "frame").write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    load = ["-n", "120", "-c", "3", "-m", "4", "-d", tmp_path / "frame"]
    said = output_of(h2load, *load, *headers, f"http://{server.grpc}/{PREDICT}")
    assert "120 succeeded, 0 failed, 0 errored, 0 timeout" in said
    # It takes any HTTP 200 for a success; a refused call would bring no message.
    (received,) = re.findall(r"\((\d+)\) data", said)
    assert int(received) == 120 * (5 + answer)


def test_hey_gets_an_answer_to_every_post(server, slices, tmp_path):
    hey = tool("hey", get="apt-get install hey")
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"instances": slices[:1].tolist()}))
    url = f"http://{server.rest}/v1/models/{NAME}/labels/stable:predict"
    load = ["-n", "60", "-c", "4", "-m", "POST", "-T", "application/json", "-t", "60"]
    said = output_of(hey, *load, "-D", body, url)
    assert re.findall(r"\[(\d+)\]\s+(\d+) responses", said) == [("200", "60")]
    assert "Error distribution" not in said
