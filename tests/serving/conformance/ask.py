"""Requests, and what is read from answers and refusals."""

from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.serving.conformance.configs import Model, config_of
from tests.serving.conformance.process import Server

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION

State = get_model_status_pb2.ModelVersionStatus


def name_spec(spec: Any, model: str, signature="", version=None, label=None) -> None:
    spec.name = model
    spec.signature_name = signature
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def predict(model: str, *, only=(), signature="", version=None, label=None, **inputs):
    """A PredictRequest; inputs are arrays or TensorProtos."""
    request = predict_pb2.PredictRequest(output_filter=only)
    name_spec(request.model_spec, model, signature, version, label)
    for alias, value in inputs.items():
        given = isinstance(value, tf.make_tensor_proto(0).__class__)
        proto = value if given else tf.make_tensor_proto(value)
        request.inputs[alias].CopyFrom(proto)
    return request


def example(**features: Any) -> tf.train.Example:
    made = tf.train.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        else:
            feature.float_list.value.append(value)
    return made


def classify(model: str, *examples: tf.train.Example, signature=""):
    request = classification_pb2.ClassificationRequest()
    name_spec(request.model_spec, model, signature)
    request.input.example_list.examples.extend(examples)
    return request


def regress(model: str, *examples: tf.train.Example, signature=""):
    request = regression_pb2.RegressionRequest()
    name_spec(request.model_spec, model, signature)
    request.input.example_list.examples.extend(examples)
    return request


REGRESS = "tensorflow/serving/regress"
CLASSIFY = "tensorflow/serving/classify"


def multi(*tasks: tuple[str, str, str], empty: bool = False):
    """A MultiInferenceRequest; a task is model, signature and method."""
    request = inference_pb2.MultiInferenceRequest()
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        name_spec(task.model_spec, model, signature)
    if not empty:
        request.input.example_list.examples.append(example(x=2.0))
    return request


def metadata(model: str, *fields: str, version=None):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    name_spec(request.model_spec, model, version=version)
    return request


def status(model: str, version=None, label=None):
    request = get_model_status_pb2.GetModelStatusRequest()
    name_spec(request.model_spec, model, version=version, label=label)
    return request


def reload(*models: Model):
    return model_management_pb2.ReloadConfigRequest(config=config_of(*models))


def refusal(call, request, timeout: float | None = 60) -> tuple[grpc.StatusCode, str]:
    """Code and text of a call that must be refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=timeout)
    return caught.value.code(), caught.value.details()


def answer(server: Server, model: str, *, alias="y", signature="", **asked) -> list:
    """Values of one output of a Predict call."""
    request = predict(model, signature=signature, **asked)
    outputs = server.predict.Predict(request, timeout=60).outputs
    return tf.make_ndarray(outputs[alias]).tolist()


def states(server: Server, model: str) -> dict[int, int]:
    """State of each version that is known, newest first; none for an unknown model."""
    try:
        listed = server.models.GetModelStatus(status(model), timeout=60)
    except grpc.RpcError as error:
        if error.code() is not NOT_FOUND:
            raise
        return {}
    return {each.version: each.state for each in listed.model_version_status}


def available(server: Server, model: str) -> list[int]:
    """Versions that can answer, newest first."""
    return [
        version
        for version, state in states(server, model).items()
        if state == State.AVAILABLE
    ]


def failure(server: Server, model: str, version: int) -> tuple[int, str] | None:
    """Error code and text of a version that ended, or None while it has not."""
    if states(server, model).get(version) != State.END:
        return None
    listed = server.models.GetModelStatus(status(model, version), timeout=60)
    ended = listed.model_version_status[0].status
    return ended.error_code, ended.error_message
