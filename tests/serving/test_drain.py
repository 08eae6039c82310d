"""Stopping: what was begun is answered, what comes later is refused."""

import contextlib
import queue
import signal
import socket
import subprocess
import sys
import threading

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.server.calls import CountingPool
from serving.server.session import LoadedModel


def adding(value=1.0):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([value])))
    return request


@pytest.fixture
def gate(monkeypatch):
    """Holds every call in the middle; says when one has come."""
    come, let = threading.Semaphore(0), threading.Event()
    run = LoadedModel.run

    def gated(*arguments):
        come.release()
        assert let.wait(60)
        return run(*arguments)

    monkeypatch.setattr(LoadedModel, "run", gated)
    yield come, let
    let.set()


@pytest.fixture
def submitted(monkeypatch):
    """Says when the server has taken a call."""
    taken = threading.Semaphore(0)
    submit = CountingPool.submit

    def counted(*arguments):
        try:
            return submit(*arguments)
        finally:
            taken.release()

    monkeypatch.setattr(CountingPool, "submit", counted)
    return taken


def test_calls_in_flight_and_in_the_queue_are_answered(serve, gate, submitted):
    come, let = gate
    running = serve(grpc_max_threads=1)
    health = health_pb2_grpc.HealthStub(running.channel)
    watch = health.Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    while submitted.acquire(blocking=False):  # the watch
        pass
    begun = running.predict.Predict.future(adding(), timeout=60)
    assert come.acquire(timeout=60)
    queued = [running.predict.Predict.future(adding(), timeout=60) for _ in range(3)]
    for _ in (begun, *queued):
        assert submitted.acquire(timeout=60)
    said: queue.SimpleQueue[httpx.Response] = queue.SimpleQueue()
    body = {"instances": [1.0]}
    rest = threading.Thread(
        target=lambda: said.put(
            running.rest.post("/v1/models/default:predict", json=body)
        )
    )
    rest.start()
    assert come.acquire(timeout=60)
    stop = threading.Thread(target=running.server.stop)
    stop.start()
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    let.set()
    for call in (begun, *queued):
        assert call.result().outputs["y"].float_val == [4]
    assert said.get(timeout=60).json() == {"predictions": [4.0]}
    stop.join(60)
    assert not stop.is_alive()
    rest.join(60)
    with pytest.raises(grpc.RpcError) as caught:
        running.predict.Predict(adding(), timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def free_ports():
    any_port = ("127.0.0.1", 0)
    with socket.create_server(any_port) as one, socket.create_server(any_port) as two:
        return one.getsockname()[1], two.getsockname()[1]


@contextlib.contextmanager
def process(base, *arguments):
    """A server process that has opened its ports; these; and what it says after."""
    ports = free_ports()
    started = subprocess.Popen(
        [
            *(sys.executable, "-m", "serving.server", f"--model_base_path={base}"),
            *(f"--port={ports[0]}", f"--rest_api_port={ports[1]}", *arguments),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    said: queue.Queue[str] = queue.Queue()
    assert started.stderr is not None
    reader = threading.Thread(target=lambda: [said.put(x) for x in started.stderr])
    reader.start()
    try:
        while "REST on 127.0.0.1" not in said.get(timeout=240):
            pass
        yield started, ports, said
    finally:
        started.kill()
        reader.join()
        started.stderr.close()


def test_a_computation_without_end_does_not_outlast_the_drain(spinner):
    with (
        process(spinner, "--drain_seconds=0.5") as (server, (port, _rest), _said),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(adding(3.0)).outputs["y"].float_val == [3]
        endless = stub.Predict.future(adding(1e30))  # and its client waits for ever
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
        with pytest.raises(grpc.RpcError):
            endless.result()


@pytest.fixture
def loaded(adders):
    with process(adders, "--enable_batching") as both:
        yield both


def test_sigterm_under_load_breaks_no_call_and_exits_0(loaded):
    server, (grpc_port, rest_port), said = loaded
    codes: queue.Queue[object] = queue.Queue()
    answered = threading.Semaphore(0)
    answers: list[str] = []

    def over_grpc():
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while True:
                try:
                    stub.Predict(adding(), timeout=60)
                except grpc.RpcError as error:
                    codes.put(error.code())
                    return
                answers.append("answer")
                answered.release()

    def over_rest():
        with httpx.Client(base_url=f"http://127.0.0.1:{rest_port}") as client:
            while True:
                body = {"instances": [1.0]}
                try:
                    answer = client.post("/v1/models/default:predict", json=body)
                except httpx.TransportError:
                    codes.put("closed")
                    return
                if answer.status_code != 200:
                    codes.put(answer.status_code)
                    return
                answers.append("answer")
                answered.release()

    work = (over_grpc, over_grpc, over_grpc, over_rest, over_rest)
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for _ in range(100):
        assert answered.acquire(timeout=60)
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=60) == 0
    for thread in threads:
        thread.join(60)
    # What gRPC had taken but not handed out yet it refuses in one of two ways.
    ends = {codes.get(timeout=60) for _ in threads}
    refused = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert ends <= {*refused, "closed"}
    computed = 0
    with contextlib.suppress(queue.Empty):
        while True:
            computed += '"code": "OK"' in said.get(timeout=5)
    assert computed == len(answers), "a call was computed and not answered"
