"""One line for each call, without its data."""

import json
import logging

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from serving.server import call_log

LOGGER = "serving.server.call_log"


def adding(name="default", signature=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([41.5, 42.5])))
    return request


@pytest.fixture
def lines(caplog):
    """What was logged so far, as JSON."""
    caplog.set_level(logging.INFO, LOGGER)

    def read():
        formatter = call_log.JsonFormatter()
        own = [each for each in caplog.records if each.name == LOGGER]
        return [json.loads(formatter.format(each)) for each in own]

    return read


def test_a_call_is_one_line_that_says_who_answered_what_and_how_fast(serve, lines):
    running = serve()
    running.predict.Predict(adding())
    (line,) = lines()
    assert line.pop("milliseconds") > 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": LOGGER,
        "message": "call",
        "method": "Predict",
        "entrypoint": "GRPC",
        "model": "default",
        "version": 3,
        "signature": "serving_default",
        "code": "OK",
        "examples": 2,
    }


def test_rest_calls_are_logged_alike(serve, lines):
    running = serve()
    running.rest.post("/v1/models/default:predict", json={"instances": [1.0]})
    running.rest.get("/v1/models/default")
    running.rest.get("/v1/models/default/metadata")
    found = [(each["method"], each["version"], each["code"]) for each in lines()]
    assert found == [
        ("Predict", 3, "OK"),
        ("GetModelStatus", None, "OK"),
        ("GetModelMetadata", 3, "OK"),
    ]


def test_refusals_are_logged_with_their_code_and_nothing_the_client_made_up(
    serve, lines, caplog
):
    running = serve()
    for request in (adding(name="secret"), adding(signature="secret")):
        with pytest.raises(grpc.RpcError):
            running.predict.Predict(request, timeout=30)
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "secret"
    with pytest.raises(grpc.RpcError):
        running.models.GetModelStatus(status, timeout=30)
    running.rest.get("/v1/models/secret?path=secret")
    assert [each["code"] for each in lines()] == [
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "NOT_FOUND",
        "NOT_FOUND",
    ]
    formatter = call_log.PlainFormatter()
    said = "".join(formatter.format(each) for each in caplog.records)
    assert "secret" not in said
    assert "41.5" not in said


def test_health_checks_are_not_logged(serve, lines):
    running = serve()
    check = running.channel.unary_unary("/grpc.health.v1.Health/Check")
    check(b"", timeout=30)
    assert lines() == []


def test_plain_lines_name_the_fields():
    record = logging.makeLogRecord(
        {"msg": "call", "levelname": "INFO", "call": {"method": "Predict", "model": ""}}
    )
    assert call_log.PlainFormatter().format(record).endswith("INFO call method=Predict")


def test_a_traceback_stays_on_its_json_line():
    try:
        raise ValueError("why")
    except ValueError as error:
        record = logging.makeLogRecord(
            {"msg": "failed", "exc_info": (ValueError, error, error.__traceback__)}
        )
    (line,) = call_log.JsonFormatter().format(record).splitlines()
    assert "ValueError: why" in json.loads(line)["traceback"]
