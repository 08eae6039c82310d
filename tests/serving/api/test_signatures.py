"""Predict over gRPC on SavedModels of any kind."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from tensorflow_serving.apis import predict_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT

VALUES = {
    tf.bool: [True, False],
    tf.string: [b"text", b"\xff\x00"],
    tf.complex64: [1 + 2j, -3j],
    tf.complex128: [1 + 2j, -3j],
}


def request_for(model, signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def refusal(zoo, request):
    with pytest.raises(grpc.RpcError) as caught:
        zoo.predict.Predict(request, timeout=30)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize(
    "dtype",
    [
        *(tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.complex64),
        *(tf.complex128, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16),
        *(tf.uint32, tf.uint64, tf.bool, tf.string),
    ],
    ids=lambda dtype: dtype.name,
)
@pytest.mark.parametrize("shape", [(2,), (1, 2, 1)], ids=["vector", "rank 3"])
def test_every_dtype_comes_back_as_it_was_sent(zoo, dtype, shape):
    values = VALUES.get(dtype, [1, 100])
    sent = np.array(values, dtype.as_numpy_dtype).reshape(shape)
    answer = zoo.predict.Predict(request_for("types", dtype.name, x=sent))
    output = answer.outputs["y"]
    assert output.dtype == dtype.as_datatype_enum
    assert not output.tensor_content, "TF Serving answers in typed fields"
    np.testing.assert_array_equal(tf.make_ndarray(output), sent)


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", np.float32(2.5)), ("string", b"flair")]
)
def test_a_scalar_comes_back_as_a_scalar(zoo, dtype, value):
    answer = zoo.predict.Predict(request_for("types", dtype, x=value))
    back = tf.make_ndarray(answer.outputs["y"])
    assert (back.shape, back.item()) == ((), value)


def test_one_value_repeated_may_not_take_all_memory(zoo):
    request = request_for("half_plus_two", x=np.float32([1]))
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(1.0, tf.float32, (3,)))
    assert list(zoo.predict.Predict(request).outputs["y"].float_val) == [2.5] * 3
    request.inputs["x"].tensor_shape.dim[0].size = 2**40
    assert refusal(zoo, request) == (INVALID, "tensor parsing error: x")


def test_several_inputs_and_outputs(zoo):
    request = request_for("sums", a=np.float32([1, 2]), b=np.int32([3, 4]))
    outputs = zoo.predict.Predict(request).outputs
    assert list(outputs["sum"].float_val) == [4, 6]
    assert list(outputs["product"].float_val) == [3, 8]


def test_an_input_with_a_default_may_be_left_out(zoo):
    a = np.float32([1, 2])
    outputs = zoo.predict.Predict(request_for("sums", "scaled", a=a)).outputs
    assert list(outputs["scaled"].float_val) == [3, 6]
    given = request_for("sums", "scaled", a=a, scale=np.float32(5))
    assert list(zoo.predict.Predict(given).outputs["scaled"].float_val) == [5, 10]


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (
            {"scale": np.float32(1)},
            "Signature input alias: a(feed name: scaled_a:0) not found in request and "
            "no default value provided. Inputs expected to be in the request {scale}, "
            "or default input alias set: scale",
        ),
        (
            {"a": np.float32([1]), "x": np.float32([1])},
            "Inputs contains invalid name. Used request inputs: a, request input: a,x",
        ),
        (
            {"a": np.float32([1]), "x": np.float32([1]), "z": np.float32([1])},
            "input size does not match signature: 3!=2 len({a,x,z}) != len({a,scale}). "
            "Sent extra: {x,z}. Missing but required: {scale}.",
        ),
    ],
)
def test_other_inputs_are_refused_where_some_have_defaults(zoo, inputs, text):
    assert refusal(zoo, request_for("sums", "scaled", **inputs)) == (INVALID, text)


def test_missing_inputs_are_named(zoo):
    assert refusal(zoo, request_for("half_plus_two")) == (
        INVALID,
        "input size does not match signature: 0!=1 len({}) != len({x}). "
        "Sent extra: {}. Missing but required: {x}.",
    )


def test_strings_and_a_model_without_variables(zoo):
    answer = zoo.predict.Predict(request_for("texts", text=np.array([b"flair"])))
    assert answer.outputs["upper"].string_val == [b"FLAIR"]


def test_an_unknown_output_is_refused(zoo):
    request = request_for("half_plus_two", x=np.float32([1]))
    request.output_filter.append("zz")
    assert refusal(zoo, request) == (
        INVALID,
        "output tensor alias not found in signature: zz Outputs expected to be in the "
        "set {y}.",
    )


def test_the_initialiser_is_no_signature(zoo):
    name = "__saved_model_init_op"
    assert refusal(zoo, request_for("half_plus_two", name)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f'Serving signature key "{name}" not found.',
    )


def test_reflection_tells_services_and_messages(zoo):
    database = ProtoReflectionDescriptorDatabase(zoo.channel)
    services = set(database.get_services())
    assert {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
    } < services
    pool = descriptor_pool.DescriptorPool(database)
    for service, method, answer in (
        ("PredictionService", "Predict", "PredictResponse"),
        ("ModelService", "HandleReloadConfigRequest", "ReloadConfigResponse"),
    ):
        found = pool.FindServiceByName(f"tensorflow.serving.{service}")
        assert found.methods_by_name[method].output_type.name == answer
    # Without it the answer of GetModelMetadata could not be read.
    assert pool.FindMessageTypeByName("tensorflow.serving.SignatureDefMap")
