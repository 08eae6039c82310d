import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from pipeline.contrasts import CLASSES

NAME = "mri_contrast"


def request_for(tensor, *, alias="slices", name=NAME, signature="", **spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(tensor))
    return request


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code(), caught.value.details()


def test_predict_gives_the_networks_calibrated_log_probabilities(
    serving, slices, expected
):
    answer = serving.predict.Predict(request_for(slices, signature="slices_v1"))
    served = np.stack([answer.outputs[name].float_val for name in CLASSES], axis=1)
    np.testing.assert_allclose(served, expected, atol=1e-4)
    assert np.ptp(expected[:, 0]) > 0.1, "the images must be told apart"
    assert list(answer.outputs["aux_rho"].float_val) == [0.25] * 5


def test_answers_name_model_signature_and_version(serving, slices):
    by_label = serving.predict.Predict(request_for(slices, label="stable"))
    spec = by_label.model_spec
    assert (spec.name, spec.signature_name) == (NAME, "serving_default")
    assert spec.version.value == 1
    newest = serving.predict.Predict(request_for(slices))
    assert newest.model_spec.version.value == 2


def test_raw_bytes_and_typed_fields_give_the_same_answer(serving, slices):
    raw = request_for(slices[:1])
    typed = request_for(slices[:1])
    typed.inputs["slices"].tensor_content = b""
    typed.inputs["slices"].int_val.extend(slices[0].ravel().tolist())
    assert raw.inputs["slices"].tensor_content
    first, second = map(serving.predict.Predict, (raw, typed))
    assert first.outputs["T1"] == second.outputs["T1"]


def test_output_filter_leaves_what_was_asked(serving, slices):
    request = request_for(slices)
    request.output_filter.extend(["T2"])
    assert set(serving.predict.Predict(request).outputs) == {"T2"}
    request.output_filter.extend(["T2"])
    assert refusal(serving.predict.Predict, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "duplicate output tensor alias: T2",
    )


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((150, 150), "[150,150] is not compatible with expected shape [?,150,150]."),
        ((1, 150, 150, 1), "[1,150,150,1] is not compatible"),
        ((2, 149, 150), "[2,149,150] is not compatible"),
        ((), "[] is not compatible"),
    ],
)
def test_a_wrong_shape_is_refused_and_the_server_lives(serving, slices, shape, text):
    code, details = refusal(
        serving.predict.Predict, request_for(np.zeros(shape, np.uint8))
    )
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert text in details
    assert serving.predict.Predict(request_for(slices)).outputs


def test_a_wrong_dtype_is_refused(serving, slices):
    request = request_for(slices.astype(np.float32))
    assert refusal(serving.predict.Predict, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Expects arg[0] to be uint8 but float is provided",
    )


@pytest.mark.parametrize(
    "damage",
    [
        {"tensor_content": b"123"},
        {"dtype": 99},
        {"tensor_content": b"", "int_val": [1, 2]},
    ],
    ids=["too short", "unknown dtype", "values for another shape"],
)
def test_a_tensor_that_cannot_be_parsed_is_refused(serving, slices, damage):
    request = request_for(slices)
    tensor = request.inputs["slices"]
    for field, value in damage.items():
        if isinstance(value, list):
            tensor.tensor_shape.dim[0].size = -1
            getattr(tensor, field).extend(value)
        else:
            setattr(tensor, field, value)
    assert refusal(serving.predict.Predict, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "tensor parsing error: slices",
    )


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        (
            {"name": "unknown"},
            grpc.StatusCode.NOT_FOUND,
            "Servable not found for request: Latest(unknown)",
        ),
        (
            {"name": ""},
            grpc.StatusCode.INVALID_ARGUMENT,
            "ModelSpec has no name specified.",
        ),
        (
            {"version": 9},
            grpc.StatusCode.NOT_FOUND,
            "Servable not found for request: Specific(mri_contrast, 9)",
        ),
        (
            {"label": "beta"},
            grpc.StatusCode.INVALID_ARGUMENT,
            "Unrecognized servable version label: beta",
        ),
        (
            {"signature": "nope"},
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "nope" not found.',
        ),
        (
            {"alias": "x"},
            grpc.StatusCode.INVALID_ARGUMENT,
            "Signature input alias: slices(feed name: serving_default_slices:0) not "
            "found in request and no default value provided. Inputs expected to be in "
            "the request {x}, or default input alias set: ",
        ),
    ],
)
def test_refusals_have_the_texts_of_tf_serving(serving, slices, changes, code, text):
    request = request_for(slices, **changes)
    assert refusal(serving.predict.Predict, request) == (code, text)


def test_missing_and_extra_inputs_are_named(serving):
    request = request_for(np.zeros(1, np.uint8), alias="x")
    request.inputs["slices"].CopyFrom(request.inputs["x"])
    _code, details = refusal(serving.predict.Predict, request)
    assert details == (
        "input size does not match signature: 2!=1 len({slices,x}) != len({slices}). "
        "Sent extra: {x}. Missing but required: {}."
    )


def test_a_request_without_a_model_is_refused(serving):
    for call, request in (
        (serving.predict.Predict, predict_pb2.PredictRequest()),
        (serving.models.GetModelStatus, get_model_status_pb2.GetModelStatusRequest()),
    ):
        assert refusal(call, request) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "Missing ModelSpec",
        )


def test_a_client_without_a_deadline_is_answered(serving, slices):
    assert serving.predict.Predict(request_for(slices), timeout=None).outputs


def test_one_bad_image_leaves_the_others_answered(serving, slices):
    good = tf.io.encode_png(slices[0][..., None]).numpy()
    request = request_for(
        np.array([good, b"no image", good[: len(good) // 2], good], object),
        alias="images",
        signature="encoded",
    )
    answer = serving.predict.Predict(request).outputs
    errors = [error.decode() for error in answer["error"].string_val]
    assert [bool(error) for error in errors] == [False, True, True, False]
    assert "neither a PNG nor a JPEG" in errors[1]
    assert "damaged" in errors[2]
    assert answer["T1"].float_val[0] == answer["T1"].float_val[3]


def test_classify_names_the_classes_with_probabilities(serving, slices):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = "classify"
    for slice_ in slices[:2]:
        example = request.input.example_list.examples.add()
        image = example.features.feature["image/encoded"].bytes_list.value
        image.append(tf.io.encode_png(slice_[..., None]).numpy())
    answer = serving.predict.Classify(request)
    rows = answer.result.classifications
    assert [each.label for each in rows[1].classes] == list(CLASSES)
    assert sum(each.score for each in rows[1].classes) == pytest.approx(1)
    image[0] = b"no image"
    code, details = refusal(serving.predict.Classify, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "neither a PNG nor a JPEG" in details


def test_explain_gives_heat_of_the_slices_size(serving, slices):
    answer = serving.predict.Predict(request_for(slices, signature="explain"))
    heat = tf.make_ndarray(answer.outputs["heat"])
    assert heat.shape == (5, 150, 150)
    assert heat.min() >= 0
    np.testing.assert_allclose(heat.max(axis=(1, 2)), 1)


def test_explaining_a_blank_slice_gives_finite_heat(serving):
    blank = request_for(np.zeros((1, 150, 150), np.uint8), signature="explain")
    heat = tf.make_ndarray(serving.predict.Predict(blank).outputs["heat"])
    assert np.isfinite(heat).all()


def test_metadata_lists_the_signatures(serving):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = NAME
    request.metadata_field.append("signature_def")
    answer = serving.predict.GetModelMetadata(request)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    signature: meta_graph_pb2.SignatureDef = found.signature_def["slices_v1"]
    sides = [side.size for side in signature.inputs["slices"].tensor_shape.dim]
    assert sides == [-1, 150, 150]
    heads = {"aux_gadolinium", "aux_plane"}
    assert {*CLASSES, "aux_rho", "aux_accept", *heads} == set(signature.outputs)
    assert answer.model_spec.version.value == 2


def test_metadata_knows_signature_definitions_only(serving):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = NAME
    assert refusal(serving.predict.GetModelMetadata, request)[1] == (
        "GetModelMetadataRequest must specify at least one metadata_field"
    )
    request.metadata_field.append("weights")
    assert refusal(serving.predict.GetModelMetadata, request)[1] == (
        "Metadata field weights is not supported"
    )


def test_status_lists_versions_newest_first(serving):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = NAME
    versions = serving.models.GetModelStatus(request).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(each.version, each.state) for each in versions] == [
        (2, available),
        (1, available),
    ]
    request.model_spec.version.value = 5
    assert refusal(serving.models.GetModelStatus, request) == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find version 5 of model mri_contrast",
    )
    request.model_spec.name = "unknown"
    request.model_spec.ClearField("version")
    assert refusal(serving.models.GetModelStatus, request) == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find any versions of model unknown",
    )


@pytest.mark.parametrize("service", ["", "tensorflow.serving.PredictionService"])
def test_health_says_serving_while_models_answer(serving, service):
    health = health_pb2_grpc.HealthStub(serving.channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service_is_not_found(serving):
    health = health_pb2_grpc.HealthStub(serving.channel)
    request = health_pb2.HealthCheckRequest(service="unknown")
    assert refusal(health.Check, request)[0] == grpc.StatusCode.NOT_FOUND
