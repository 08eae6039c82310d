"""Classify, Regress and MultiInference over gRPC."""

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    regression_pb2,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def example(x):
    values = tf.train.FloatList(value=[x])
    feature = {"x": tf.train.Feature(float_list=values)}
    return tf.train.Example(features=tf.train.Features(feature=feature))


def request_for(kind, signature, *xs, model="half_plus_two"):
    request = kind()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    request.input.example_list.examples.extend(map(example, xs))
    return request


def classification(signature, *xs):
    return request_for(classification_pb2.ClassificationRequest, signature, *xs)


def regression(signature, *xs):
    return request_for(regression_pb2.RegressionRequest, signature, *xs)


def inference(*tasks, xs=(2.0, 4.0)):
    request = inference_pb2.MultiInferenceRequest()
    for signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name = "half_plus_two"
        task.model_spec.signature_name = signature
    request.input.example_list.examples.extend(map(example, xs))
    return request


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code(), caught.value.details()


def test_regress_gives_one_value_for_each_example(zoo):
    answer = zoo.predict.Regress(regression("regress", 2.0, 4.0))
    assert [each.value for each in answer.result.regressions] == [3.0, 4.0]
    spec = answer.model_spec
    assert (spec.name, spec.signature_name) == ("half_plus_two", "regress")
    assert spec.version.value == 123


def test_classify_gives_labels_and_scores(zoo):
    answer = zoo.predict.Classify(classification("classify", 2.0))
    (row,) = answer.result.classifications
    assert [(each.label, each.score) for each in row.classes] == [("y", 3), ("-y", -3)]


def test_scores_alone_are_classes_without_labels(zoo):
    answer = zoo.predict.Classify(classification("scores", 2.0))
    (row,) = answer.result.classifications
    assert [(each.label, each.score) for each in row.classes] == [("", 3)]


def test_the_context_is_part_of_every_example(zoo):
    request = regression("regress")
    shared = request.input.example_list_with_context
    shared.context.CopyFrom(example(2.0))
    shared.examples.extend([tf.train.Example(), example(4.0)])
    answer = zoo.predict.Regress(request)
    assert [each.value for each in answer.result.regressions] == [3.0, 4.0]


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("nope", "No signature was found with the name: nope"),
        ("regress", "Expected classification signature outputs to contain at least"),
        ("predict", "No classification inputs found in SignatureDef: "),
        ("", "No classification inputs found in SignatureDef: "),
        ("flat_scores", "Expected Tensor shape: [batch_size num_classes] but got [1]"),
    ],
)
def test_what_is_no_classifier_is_refused(zoo, signature, text):
    code, details = refusal(zoo.predict.Classify, classification(signature, 2.0))
    assert (code, text in details) == (INVALID, True), details


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("nope", "No signature was found with the name: nope"),
        ("classify", "Expected one output Tensor."),
        ("scores", "No regression outputs found in SignatureDef: "),
        ("predict", "No regression inputs found in SignatureDef: "),
        ("doubles", "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
        ("halved", "Input batch size did not match output batch size: 2 vs. 1"),
        (
            "wide",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            "but got [2,2]",
        ),
    ],
)
def test_what_is_no_regressor_is_refused(zoo, signature, text):
    code, details = refusal(zoo.predict.Regress, regression(signature, 2.0, 4.0))
    assert (code, text in details) == (INVALID, True), details


def test_no_examples_are_refused(zoo):
    expected = (INVALID, "Input is empty.")
    assert refusal(zoo.predict.Classify, classification("classify")) == expected
    assert refusal(zoo.predict.Regress, regression("regress")) == expected
    request = inference(("regress", REGRESS), xs=())
    assert refusal(zoo.predict.MultiInference, request) == expected


@pytest.mark.parametrize("call", ["Classify", "Regress"])
def test_no_model_is_refused(zoo, call):
    request = {
        "Classify": classification_pb2.ClassificationRequest(),
        "Regress": regression_pb2.RegressionRequest(),
    }[call]
    stub = getattr(zoo.predict, call)
    assert refusal(stub, request) == (INVALID, "Missing ModelSpec")


def test_an_example_that_the_graph_cannot_parse_is_refused(zoo):
    request = regression("regress")
    request.input.example_list.examples.add()
    code, details = refusal(zoo.predict.Regress, request)
    assert (code, "x" in details) == (INVALID, True)


def test_multi_inference_runs_a_classifier_and_a_regressor(zoo):
    request = inference(("classify", CLASSIFY), ("regress", REGRESS))
    first, second = zoo.predict.MultiInference(request).results
    rows = first.classification_result.classifications
    assert [row.classes[0].score for row in rows] == [3.0, 4.0]
    values = [each.value for each in second.regression_result.regressions]
    assert values == [3.0, 4.0]
    assert first.model_spec.signature_name == "classify"
    assert second.model_spec.version.value == 123


def test_multi_inference_of_other_tasks_gives_their_results(zoo):
    # The same tensors in another order and number must not be mixed up.
    request = inference(("regress", REGRESS), ("scores", CLASSIFY))
    first, second = zoo.predict.MultiInference(request).results
    assert first.regression_result.regressions[1].value == 4.0
    assert second.classification_result.classifications[1].classes[0].score == 4.0
    (only,) = zoo.predict.MultiInference(inference(("regress", REGRESS))).results
    assert only.regression_result.regressions[0].value == 3.0


def with_other_model():
    request = inference(("classify", CLASSIFY), ("regress", REGRESS))
    request.tasks[1].model_spec.name = "sums"
    return request


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (inference(), INVALID, "ModelSpec has no name specified."),
        (
            with_other_model(),
            INVALID,
            "All ModelSpecs in a MultiInferenceRequest must access the same model "
            "name.",
        ),
        (
            inference(("regress", REGRESS), ("regress", REGRESS)),
            INVALID,
            "Duplicate evaluation of signature: regress",
        ),
        (
            inference(("nope", REGRESS)),
            INVALID,
            "Requested signature not found in model graph: nope",
        ),
        (
            inference(("predict", "tensorflow/serving/predict")),
            grpc.StatusCode.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
    ],
)
def test_multi_inference_refuses_with_tf_servings_texts(zoo, request_, code, text):
    assert refusal(zoo.predict.MultiInference, request_) == (code, text)
