"""Stops, and a health that follows the models: beyond TensorFlow Serving."""

import signal
import threading

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from tests.serving.conformance import ask
from tests.serving.conformance.ask import floats
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.process import Server, until
from tests.serving.conformance.saved_models import copy_version

row = pytest.mark.row

SECONDS = np.array([20_000], np.int64)
"""Steps of the slow model: some seconds."""

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def server(launcher, library, tmp_path):
    (tmp_path / "number").mkdir()
    copy_version(library / "number" / "1", tmp_path / "number" / "1")
    config = write_config(
        tmp_path / "models.config",
        Model("slow", library / "slow"),
        Model("number", tmp_path / "number"),
    )
    started = launcher.start(f"--model_config_file={config}", "--drain_seconds=200")
    yield started
    started.stop()


def ticks(server: Server) -> float:
    return ask.answer(server, "slow", signature="ticks", x=floats(0))[0]


@row("beyond.health-follows", "beyond.drain", "beyond.drain-health", "beyond.exit")
def test_health_follows_the_models_and_a_stop_lets_calls_end(server, tmp_path):
    def health():
        return server.health.Check(health_pb2.HealthCheckRequest(), timeout=60).status

    assert health() == SERVING
    version = tmp_path / "number" / "1"
    aside = version.rename(tmp_path / "number" / "aside")
    until(lambda: health() == NOT_SERVING, "NOT_SERVING without a version")
    aside.rename(version)
    until(lambda: health() == SERVING, "SERVING with a version")

    watch = server.health.Watch(health_pb2.HealthCheckRequest(), timeout=120)
    assert next(watch).status == SERVING
    slow = server.predict.Predict.future(
        ask.predict("slow", steps=SECONDS), timeout=120
    )
    until(lambda: ticks(server) > 0, "the slow call begun")
    server.process.send_signal(signal.SIGTERM)
    assert any(said.status == NOT_SERVING for said in watch)
    assert list(slow.result().outputs["y"].int64_val) == SECONDS.tolist()
    assert server.process.wait(60) == 0


@row("beyond.drain-rest", "beyond.under-load")
def test_under_load_a_stop_answers_each_call_rightly_or_refuses_it(server):
    slow: list[object] = []

    def ask_slowly() -> None:
        body = {"inputs": {"steps": SECONDS.tolist()}}
        slow.append(server.rest.post("/v1/models/slow:predict", json=body).json())

    over = threading.Event()
    answers: list[list[float]] = []
    codes: set[grpc.StatusCode] = set()

    def ask_quickly() -> None:
        while not over.is_set():
            try:
                answers.append(ask.answer(server, "number", x=floats(0)))
            except grpc.RpcError as error:
                codes.add(error.code())
                return

    threads = [threading.Thread(target=ask_slowly)]
    threads += [threading.Thread(target=ask_quickly) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: ticks(server) > 0 and len(answers) > 20, "calls under way")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    over.set()
    for thread in threads:
        thread.join()
    assert slow == [{"outputs": SECONDS.tolist()}]
    # gRPC's core cancels calls that it holds but that no handler has seen yet.
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert all(answer == [1] for answer in answers)
