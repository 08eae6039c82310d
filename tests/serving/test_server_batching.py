"""Batching in a running server."""

import itertools
import re
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.server.config import ServerConfig
from serving.server.flags import parse
from serving.server.session import LoadedModel

METRICS = "/monitoring/prometheus/metrics"


def adding(*values):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array(values, np.float32)))
    return request


def write(path, text):
    path.write_text(text)
    return path


def test_sixteen_at_once_get_their_own_answers_from_fewer_batches(serve, tmp_path):
    running = serve(
        enable_batching=True,
        batching_parameters_file=write(
            tmp_path / "batching",
            "num_batch_threads { value: 1 } batch_timeout_micros { value: 50000 } "
            "max_batch_size { value: 16 }",
        ),
        monitoring_config_file=write(
            tmp_path / "monitoring", "prometheus_config { enable: true }"
        ),
        grpc_max_threads=16,
    )
    with futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(running.predict.Predict, map(adding, range(64))))
    assert [list(each.outputs["y"].float_val) for each in answers] == [
        [n + 3.0] for n in range(64)
    ]
    page = running.rest.get(METRICS).text
    (batches,) = re.findall(r"^:.*:wrapped_run_count (\S+)$", page, re.MULTILINE)
    assert 4 <= float(batches) < 64


def test_a_call_above_the_largest_batch_is_refused_over_grpc_and_rest(serve, tmp_path):
    running = serve(
        enable_batching=True,
        batching_parameters_file=write(
            tmp_path / "batching", "max_batch_size { value: 2 }"
        ),
    )
    with pytest.raises(grpc.RpcError) as caught:
        running.predict.Predict(adding(1, 2, 3), timeout=30)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    body = {"instances": [1.0, 2.0, 3.0]}
    answer = running.rest.post("/v1/models/default:predict", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == caught.value.details()
    assert "Task size 3 is larger" in caught.value.details()


def test_a_version_without_its_own_parameters_is_not_batched(serve, adders, tmp_path):
    base = tmp_path / "models"
    (base / "1").mkdir(parents=True)
    for name in ("saved_model.pb", "variables"):
        (base / "1" / name).symlink_to(adders / "1" / name)
    settings = {
        "model_base_path": base,
        "enable_batching": True,
        "enable_per_model_batching_parameters": True,
        "batching_parameters_file": write(
            tmp_path / "b", "max_batch_size { value: 1 }"
        ),
    }
    running = serve(**settings)
    assert len(running.predict.Predict(adding(1, 2)).outputs["y"].float_val) == 2
    running.server.stop()
    write(base / "1" / "batching_params.pbtxt", "max_batch_size { value: 3 }")
    with pytest.raises(grpc.RpcError, match="maximum input batch size 3"):
        serve(**settings).predict.Predict(adding(1, 2, 3, 4), timeout=30)


def test_parameters_without_the_flag_are_refused_at_the_start(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--model_base_path=x", "--batching_parameters_file=y"])
    assert ended.value.code == 2
    assert "without setting --enable_batching" in capsys.readouterr().err
    assert not ServerConfig(model_base_path="x").enable_batching


def test_the_order_in_which_outputs_are_wanted_makes_no_queue_of_its_own(saved_model):
    model = LoadedModel(saved_model)
    signature = model.signature("slices_v1")
    inputs = {"slices": np.zeros((2, 150, 150), np.uint8)}
    names = ("T1", "T2", "FLAIR", "other")
    answers = [
        dict(zip(order, model.run(signature, inputs, order), strict=True))
        for order in itertools.permutations(names)
    ]
    for answer in answers:
        for name in names:
            np.testing.assert_array_equal(answer[name], answers[0][name])
    assert len(model._queues) == len(model._calls) == 1
    twice = model.run(signature, inputs, ["T2", "T2"])
    np.testing.assert_array_equal(twice[0], twice[1])
