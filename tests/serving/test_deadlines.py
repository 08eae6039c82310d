"""No call computes for longer than its client waits."""

import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.server import call_record
from serving.server.call_record import CallRecord, recorded
from serving.server.errors import ServingError
from serving.server.session import LoadedModel

FOR_EVER = 1e30


def spinning(count):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([count])))
    return request


@pytest.mark.parametrize("batching", [False, True])
def test_a_computation_without_end_gives_its_thread_back(serve, spinner, batching):
    running = serve(
        model_base_path=spinner, grpc_max_threads=1, enable_batching=batching
    )
    with pytest.raises(grpc.RpcError) as caught:
        running.predict.Predict(spinning(FOR_EVER), timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # By the one thread that there is.
    answer = running.predict.Predict(spinning(3), timeout=60)
    assert answer.outputs["y"].float_val == [3]


def test_a_client_without_a_deadline_is_answered(serve, spinner):
    running = serve(model_base_path=spinner)
    answer = running.predict.Predict(spinning(7))
    assert answer.outputs["y"].float_val == [7]


def test_rest_calls_end_at_their_time_limit(serve, spinner):
    running = serve(model_base_path=spinner, rest_api_timeout_in_ms=300)
    url, body = "/v1/models/default:predict", {"instances": [FOR_EVER]}
    assert running.rest.post(url, json=body).status_code == 504
    assert running.rest.post(url, json={"instances": [2.0]}).json() == {
        "predictions": [2.0]
    }


def test_a_call_that_waited_too_long_for_a_thread_is_not_computed(
    serve, adders, monkeypatch
):
    runs, first, let = [], threading.Event(), threading.Event()
    run = LoadedModel.run

    def gated(*arguments):
        runs.append(arguments)
        first.set()
        let.wait(60)
        return run(*arguments)

    monkeypatch.setattr(LoadedModel, "run", gated)
    running = serve(grpc_max_threads=1)
    patient = running.predict.Predict.future(spinning(1), timeout=60)
    assert first.wait(60)
    with pytest.raises(grpc.RpcError):
        running.predict.Predict(spinning(1), timeout=0.01)
    let.set()
    assert patient.result().outputs["y"].float_val == [4]
    last = running.predict.Predict(spinning(1), timeout=60)
    assert last.outputs["y"].float_val == [4]
    assert len(runs) == 2


def test_a_deadline_that_has_passed_computes_nothing():
    record = CallRecord("Predict", "REST", deadline=time.monotonic())
    with recorded(record), pytest.raises(ServingError) as caught:
        call_record.deadline()
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert call_record.deadline() is None
