"""Warm-up records: replayed before a version turns available."""

from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.server import warmup
from serving.server.errors import ServingError
from serving.server.model_config import ModelConfig

VERSION = 123


class Counting(tf.Module):
    """Counts its calls, so that a test can ask how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def regress(self, inputs):
        now = self.calls.assign_add(1.0)
        return {"outputs": now + tf.zeros(tf.shape(inputs)[0])}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def classify(self, inputs):
        now = self.calls.assign_add(1.0)
        return {"scores": now + tf.zeros((tf.shape(inputs)[0], 1))}

    @tf.function(input_signature=[tf.TensorSpec((), tf.float32, name="x")])
    def count(self, x):
        return {"calls": self.calls + x}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model's folder, with room for warm-up records."""
    model = Counting()
    path = tmp_path / str(VERSION)
    signatures = {
        "serving_default": model.count,
        "regress": model.regress,
        "classify": model.classify,
    }
    tf.saved_model.save(model, str(path), signatures)
    (path / "assets.extra").mkdir()
    return tmp_path


def write(base: Path, *records: bytes) -> Path:
    file = base / str(VERSION) / "assets.extra/tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in records:
            writer.write(record)
    return file


def predict_log() -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "any"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(0.0))
    return log


def example_log(kind: str) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, f"{kind}_log").request
    request.model_spec.signature_name = kind
    request.input.example_list.examples.add()
    return log


def multi_log() -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.multi_inference_log.request
    task = request.tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.name = "any"
    task.model_spec.signature_name = "regress"
    request.input.example_list.examples.add()
    return log


def calls(base: Path, iterations: int = 1) -> float:
    model = warmup.load(
        ModelConfig("counting", base), VERSION, warmup.Replays(times=iterations)
    )
    signature = model.signature("")
    assert signature is not None
    (count,) = model.run(signature, {"x": np.zeros((), "f4")}, ["calls"])
    return float(count)


def refusal(base: Path) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(ServingError) as caught:
        warmup.load(ModelConfig("counting", base), VERSION, warmup.Replays())
    return caught.value.code, caught.value.text


def test_all_kinds_are_replayed_as_often_as_asked(base):
    logs = [
        predict_log(),
        example_log("regress"),
        example_log("classify"),
        multi_log(),
        prediction_log_pb2.PredictionLog(),
    ]
    write(base, *(log.SerializeToString() for log in logs))
    assert calls(base) == 3, "all but Predict count"
    assert calls(base, iterations=4) == 12


def test_a_kind_that_tf_serving_does_not_replay_fails_the_version(base):
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.SetInParent()
    write(base, log.SerializeToString())
    number = log.DESCRIPTOR.fields_by_name["session_run_log"].number
    assert refusal(base) == (
        grpc.StatusCode.UNIMPLEMENTED,
        f"Unsupported log_type for warmup: {number}",
    )


def test_more_than_a_thousand_records_fail_the_version(base):
    record = prediction_log_pb2.PredictionLog().SerializeToString()
    write(base, *[record] * 1000)
    assert calls(base) == 0
    write(base, *[record] * 1001)
    code, text = refusal(base)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Number of warmup records exceeds the maximum (1000)" in text


def test_a_request_that_fails_fails_the_version(base):
    log = example_log("regress")
    log.regress_log.request.model_spec.signature_name = "nope"
    write(base, log.SerializeToString())
    assert "with the name: nope" in refusal(base)[1]


def test_a_record_that_is_no_log_fails_the_version(base):
    write(base, b"\xff\xff")
    assert "Failed to parse warmup record" in refusal(base)[1]


def test_a_file_that_ends_early_fails_the_version(base):
    file = write(base, predict_log().SerializeToString())
    file.write_bytes(file.read_bytes()[:-3])
    code, text = refusal(base)
    assert code == grpc.StatusCode.DATA_LOSS
    assert text.endswith("Please verify your warmup data is in TFRecord format.")
