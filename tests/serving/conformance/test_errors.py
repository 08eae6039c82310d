"""Codes and texts of refusals."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    predict_pb2,
)

from tests.serving.conformance import ask
from tests.serving.conformance.ask import (
    FAILED_PRECONDITION,
    INVALID,
    NOT_FOUND,
    floats,
)

row = pytest.mark.row


def refused(plain, model="half_plus_two", **asked):
    return ask.refusal(plain.predict.Predict, ask.predict(model, **asked))


@row("errors.no-spec")
def test_no_model_spec(plain):
    request = predict_pb2.PredictRequest()
    assert ask.refusal(plain.predict.Predict, request) == (INVALID, "Missing ModelSpec")


@row("errors.no-spec-status")
def test_no_model_spec_in_a_status_request(plain):
    request = get_model_status_pb2.GetModelStatusRequest()
    code, text = ask.refusal(plain.models.GetModelStatus, request)
    assert (code, text) == (INVALID, "Missing ModelSpec")


@row("errors.empty-name")
def test_no_name(plain):
    expected = (INVALID, "ModelSpec has no name specified.")
    assert refused(plain, "", x=floats(1)) == expected


@row("errors.unknown-model")
def test_unknown_model(plain):
    expected = (NOT_FOUND, "Servable not found for request: Latest(nobody)")
    assert refused(plain, "nobody", x=floats(1)) == expected
    code, text = ask.refusal(
        plain.predict.Classify, ask.classify("nobody", ask.example(x=1.0))
    )
    assert (code, text) == expected


@row("errors.unknown-version")
def test_unknown_version(plain):
    text = "Servable not found for request: Specific(half_plus_two, 77)"
    assert refused(plain, x=floats(1), version=77) == (NOT_FOUND, text)


@row("errors.unknown-label")
def test_unknown_label(plain):
    text = "Unrecognized servable version label: nobody"
    assert refused(plain, x=floats(1), label="nobody") == (INVALID, text)


@row("errors.signature-predict")
def test_unknown_signature_of_predict(plain):
    text = 'Serving signature key "nobody" not found.'
    expected = (FAILED_PRECONDITION, text)
    assert refused(plain, x=floats(1), signature="nobody") == expected


@row("errors.signature-classify")
def test_unknown_signature_of_classify(plain):
    request = ask.classify("half_plus_two", ask.example(x=1.0), signature="nobody")
    text = "No signature was found with the name: nobody"
    assert ask.refusal(plain.predict.Classify, request) == (INVALID, text)


@row("errors.signature-regress")
def test_unknown_signature_of_regress(plain):
    request = ask.regress("half_plus_two", ask.example(x=1.0), signature="nobody")
    text = "No signature was found with the name: nobody"
    assert ask.refusal(plain.predict.Regress, request) == (INVALID, text)


@row("errors.signature-multi")
def test_unknown_signature_of_multi_inference(plain):
    request = ask.multi(("half_plus_two", "nobody", ask.REGRESS))
    text = "Requested signature not found in model graph: nobody"
    assert ask.refusal(plain.predict.MultiInference, request) == (INVALID, text)


@row("errors.classify-shape")
def test_classify_by_a_signature_of_other_aliases(plain):
    request = ask.classify("modern", ask.example(x=1.0), signature="serving_default")
    code, _ = ask.refusal(plain.predict.Classify, request)
    assert code in (INVALID, FAILED_PRECONDITION)


@row("errors.regress-shape")
def test_regress_by_a_signature_of_other_aliases(plain):
    request = ask.regress("modern", ask.example(x=1.0), signature="serving_default")
    code, _ = ask.refusal(plain.predict.Regress, request)
    assert code in (INVALID, FAILED_PRECONDITION)


@row("errors.no-input")
def test_no_input(plain):
    text = (
        "input size does not match signature: 0!=1 len({}) != len({x}). "
        "Sent extra: {}. Missing but required: {x}."
    )
    assert refused(plain) == (INVALID, text)


@row("errors.missing-input")
def test_one_input_too_few(plain):
    text = (
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). "
        "Sent extra: {}. Missing but required: {b}."
    )
    assert refused(plain, "mixed", a=floats(1)) == (INVALID, text)


@row("errors.extra-input")
def test_one_input_too_many(plain):
    text = (
        "input size does not match signature: 2!=1 len({x,zz}) != len({x}). "
        "Sent extra: {zz}. Missing but required: {}."
    )
    assert refused(plain, x=floats(1), zz=floats(1)) == (INVALID, text)


@row("errors.wrong-alias")
def test_right_count_wrong_alias(plain):
    text = (
        "Signature input alias: x(feed name: x:0) not found in request and no default "
        "value provided. Inputs expected to be in the request {zz}, or default input "
        "alias set: "
    )
    code, said = refused(plain, zz=floats(1))
    assert (code, said.rstrip()) == (INVALID, text.rstrip())


@row("errors.bad-tensor")
def test_content_that_does_not_fill_its_shape(plain):
    tensor = tf.make_tensor_proto(floats(1, 2))
    tensor.tensor_content = tensor.tensor_content[:-1]
    assert refused(plain, x=tensor) == (INVALID, "tensor parsing error: x")


@row("errors.wrong-dtype")
def test_wrong_dtype(plain):
    text = "Expects arg[0] to be float but int32 is provided"
    code, said = refused(plain, x=np.array([1], np.int32))
    assert (code, said) == (INVALID, text)


@row("errors.wrong-shape")
def test_a_shape_that_the_kernel_refuses(plain):
    code, text = refused(plain, "matrix", x=np.ones((2, 5), np.float32))
    assert code is INVALID
    assert "Matrix size-incompatible" in text


@row("errors.filter-unknown")
def test_filter_that_names_no_output(plain):
    text = (
        "output tensor alias not found in signature: zz Outputs expected to be in the "
        "set {y}."
    )
    assert refused(plain, x=floats(1), only=["zz"]) == (INVALID, text)


@row("errors.filter-twice")
def test_filter_that_names_an_output_twice(plain):
    text = "duplicate output tensor alias: y"
    assert refused(plain, x=floats(1), only=["y", "y"]) == (INVALID, text)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("Classify", marks=row("errors.no-examples")),
        pytest.param("Regress", marks=row("errors.no-examples-regress")),
        pytest.param("MultiInference", marks=row("errors.no-examples-multi")),
    ],
)
def test_no_examples(plain, method):
    request = {
        "Classify": ask.classify("half_plus_two", signature="classify"),
        "Regress": ask.regress("half_plus_two", signature="regress"),
        "MultiInference": ask.multi(
            ("half_plus_two", "regress", ask.REGRESS), empty=True
        ),
    }[method]
    call = getattr(plain.predict, method)
    assert ask.refusal(call, request) == (INVALID, "Input is empty.")


@row("errors.multi-models")
def test_multi_inference_over_two_models(plain):
    request = ask.multi(
        ("half_plus_two", "regress", ask.REGRESS),
        ("half_plus_three", "regress", ask.REGRESS),
    )
    text = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
    assert ask.refusal(plain.predict.MultiInference, request) == (INVALID, text)


@row("errors.multi-twice")
def test_multi_inference_of_one_signature_twice(plain):
    request = ask.multi(*[("half_plus_two", "regress", ask.REGRESS)] * 2)
    text = "Duplicate evaluation of signature: regress"
    assert ask.refusal(plain.predict.MultiInference, request) == (INVALID, text)


@row("errors.multi-method")
def test_multi_inference_by_another_method(plain):
    odd = "tensorflow/serving/odd"
    request = ask.multi(("half_plus_two", "odd", odd))
    code, text = ask.refusal(plain.predict.MultiInference, request)
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert text == f"Unsupported signature method_name: {odd}"


@row("errors.metadata-no-field")
def test_metadata_without_a_field(plain):
    text = "GetModelMetadataRequest must specify at least one metadata_field"
    request = ask.metadata("half_plus_two")
    assert ask.refusal(plain.predict.GetModelMetadata, request) == (INVALID, text)


@row("errors.metadata-other-field")
def test_metadata_of_an_unknown_field(plain):
    text = "Metadata field weights is not supported"
    request = ask.metadata("half_plus_two", "weights")
    assert ask.refusal(plain.predict.GetModelMetadata, request) == (INVALID, text)


@row("errors.status-model")
def test_status_of_an_unknown_model(plain):
    text = "Could not find any versions of model nobody"
    request = ask.status("nobody")
    assert ask.refusal(plain.models.GetModelStatus, request) == (NOT_FOUND, text)


@row("errors.status-version")
def test_status_of_an_unknown_version(plain):
    text = "Could not find version 77 of model half_plus_two"
    request = ask.status("half_plus_two", version=77)
    assert ask.refusal(plain.models.GetModelStatus, request) == (NOT_FOUND, text)


@row("errors.truncated")
def test_long_texts_are_cut(plain):
    text = f"Unrecognized servable version label: {'x' * 2000}"[:1024]
    expected = (INVALID, text + "...TRUNCATED")
    assert refused(plain, x=floats(1), label="x" * 2000) == expected


@row("beyond.rank")
@pytest.mark.parametrize("shape", [(), (3,), (8, 8), (8, 8, 1), (1, 2, 8, 8, 1)])
def test_a_wrong_rank_is_refused_and_ends_nothing(plain, shape):
    code, _ = refused(plain, "convolution", x=np.ones(shape, np.float32))
    assert code is INVALID
    fitting = np.ones((2, 8, 8, 1), np.float32)
    assert ask.answer(plain, "convolution", x=fitting) == [1296, 1296]


@row("beyond.rank-undeclared")
@pytest.mark.parametrize("shape", [(3,), (8, 8), (8, 8, 1)])
def test_a_wrong_rank_that_nothing_declares_is_refused_and_ends_nothing(plain, shape):
    code, _ = refused(plain, "undeclared", x=np.ones(shape, np.float32))
    assert code is INVALID
    fitting = np.ones((2, 8, 8, 1), np.float32)
    assert ask.answer(plain, "undeclared", x=fitting) == [1296, 1296]


@row("beyond.side")
def test_a_wrong_side_is_refused(plain):
    code, _ = refused(plain, "convolution", x=np.ones((2, 9, 8, 1), np.float32))
    assert code is INVALID


@row("errors.rest-400", "errors.rest-body")
def test_a_wrong_rest_request_is_a_400(plain):
    got = plain.rest.post("/v1/models/half_plus_two:predict", json={"instances": "no"})
    assert got.status_code == 400
    assert set(got.json()) == {"error"}


@row("errors.rest-404")
def test_an_unknown_model_is_a_404(plain):
    got = plain.rest.post("/v1/models/nobody:predict", json={"instances": [1.0]})
    assert got.status_code == 404
    assert got.json()["error"] == "Servable not found for request: Latest(nobody)"
    got = plain.rest.get("/v1/models/nobody")
    assert got.status_code == 404
    assert got.json()["error"] == "Could not find any versions of model nobody"
