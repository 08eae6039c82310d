"""The services of the gRPC port and what their answers hold."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from tests.serving.conformance import ask, saved_models
from tests.serving.conformance.ask import floats

row = pytest.mark.row


def call(server, path, message: bytes) -> bytes:
    """Calls a method by its path, with bytes as they are."""
    return server.channel.unary_unary(path)(message, timeout=60)


@row("grpc.predict")
def test_predict_runs_a_signature(plain):
    assert ask.answer(plain, "half_plus_two", x=floats(1, 2, 5)) == [2.5, 3, 4.5]


@row("grpc.classify")
def test_classify_gives_labels_and_scores(plain):
    request = ask.classify(
        "half_plus_two",
        *(ask.example(x=2.0), ask.example(x=4.0)),
        signature="classify_named",
    )
    answer = plain.predict.Classify(request, timeout=60)
    pairs = [
        [(each.label, each.score) for each in one.classes]
        for one in answer.result.classifications
    ]
    assert pairs == [[("only", 3.0)], [("only", 4.0)]]
    assert answer.model_spec.signature_name == "classify_named"


@row("grpc.classify-names")
def test_classify_without_classes_gives_empty_labels(plain):
    request = ask.classify("half_plus_two", ask.example(x=2.0), signature="classify")
    ((only,),) = (
        one.classes
        for one in plain.predict.Classify(request, timeout=60).result.classifications
    )
    assert (only.label, only.score) == ("", 3.0)


@row("grpc.regress")
def test_regress_gives_a_value_for_each_example(plain):
    request = ask.regress(
        "half_plus_two", ask.example(x=2.0), ask.example(x=4.0), signature="regress"
    )
    answer = plain.predict.Regress(request, timeout=60)
    assert [each.value for each in answer.result.regressions] == [3.0, 4.0]
    assert answer.model_spec.version.value == 1


@row("grpc.multi-inference")
def test_multi_inference_runs_two_signatures(plain):
    request = ask.multi(
        ("half_plus_two", "regress", ask.REGRESS),
        ("half_plus_two", "classify_named", ask.CLASSIFY),
    )
    first, second = plain.predict.MultiInference(request, timeout=60).results
    assert first.regression_result.regressions[0].value == 3.0
    (best,) = second.classification_result.classifications[0].classes
    assert (best.label, best.score) == ("only", 3.0)
    assert first.model_spec.signature_name == "regress"


@row("grpc.example-context")
def test_a_shared_context_is_merged_into_each_example(plain):
    request = ask.classify("half_plus_two", signature="classify")
    given = request.input.example_list_with_context
    given.context.CopyFrom(ask.example(x=6.0))
    given.examples.extend([tf.train.Example(), ask.example(z=1.0)])
    answer = plain.predict.Classify(request, timeout=60)
    scores = [one.classes[0].score for one in answer.result.classifications]
    assert scores == [5.0, 5.0]


def signatures(server, model):
    request = ask.metadata(model, "signature_def")
    answer = server.predict.GetModelMetadata(request, timeout=60)
    held = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(held)
    return answer, dict(held.signature_def)


@row("grpc.metadata")
def test_metadata_holds_the_signatures(plain):
    _, held = signatures(plain, "half_plus_two")
    assert held["serving_default"].inputs["x"].name == "x:0"
    assert held["regress"].method_name == saved_models.REGRESS
    assert held["classify"].outputs["scores"].dtype == tf.float32.as_datatype_enum


@row("grpc.metadata-spec")
def test_metadata_names_model_and_version_alone(plain):
    answer, _ = signatures(plain, "half_plus_two")
    spec = answer.model_spec
    assert (spec.name, spec.version.value) == ("half_plus_two", 1)
    assert spec.signature_name == ""


@row("grpc.metadata-init-op")
def test_metadata_lists_the_init_op_of_a_tf2_export(plain):
    _, held = signatures(plain, "modern")
    assert "__saved_model_init_op" in held


@row("grpc.status")
def test_status_tells_version_state_and_code(plain):
    answer = plain.models.GetModelStatus(ask.status("half_plus_two"), timeout=60)
    (only,) = answer.model_version_status
    assert (only.version, only.state) == (1, ask.State.AVAILABLE)
    assert (only.status.error_code, only.status.error_message) == (0, "")


@row("grpc.status-order")
def test_status_lists_the_newest_first(plain):
    answer = plain.models.GetModelStatus(ask.status("number"), timeout=60)
    assert [each.version for each in answer.model_version_status] == [3, 2, 1]


@row("grpc.status-version")
def test_status_of_one_version_lists_it_alone(plain):
    answer = plain.models.GetModelStatus(ask.status("number", version=2), timeout=60)
    assert [each.version for each in answer.model_version_status] == [2]


@row("grpc.status-label")
def test_status_ignores_a_label(plain):
    request = ask.status("number", label="nobody")
    assert len(plain.models.GetModelStatus(request).model_version_status) == 3


@row("grpc.no-session-run")
def test_session_service_is_not_offered(plain):
    with pytest.raises(grpc.RpcError) as caught:
        call(plain, "/tensorflow.serving.SessionService/SessionRun", b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@row("grpc.profiler")
def test_the_profiler_is_offered(plain):
    call = plain.channel.unary_unary("/tensorflow.ProfilerService/Monitor")
    error = call.future(b"", timeout=60).exception()
    assert error is None or error.code() is not grpc.StatusCode.UNIMPLEMENTED


@row("grpc.spec")
def test_answers_name_model_effective_signature_and_version(plain):
    request = ask.predict("number", x=floats(0))
    spec = plain.predict.Predict(request, timeout=60).model_spec
    assert (spec.name, spec.signature_name) == ("number", "serving_default")
    assert spec.version.value == 3
    older = ask.predict("number", x=floats(0), version=2)
    assert plain.predict.Predict(older, timeout=60).model_spec.version.value == 2


@row("grpc.oneof")
@pytest.mark.parametrize("label_last", [True, False])
def test_of_a_version_and_a_label_the_last_one_counts(plain, label_last):
    by_label = ask.predict("number", x=floats(0), label="nobody")
    by_version = predict_pb2.PredictRequest()
    by_version.model_spec.version.value = 2
    parts = [by_version.SerializeToString(), by_label.SerializeToString()]
    wire = b"".join(parts if label_last else reversed(parts))
    path = "/tensorflow.serving.PredictionService/Predict"
    if label_last:
        with pytest.raises(grpc.RpcError) as caught:
            call(plain, path, wire)
        assert "Unrecognized servable version label" in caught.value.details()
    else:
        answer = predict_pb2.PredictResponse.FromString(call(plain, path, wire))
        assert answer.model_spec.version.value == 2


@row("grpc.typed-fields")
def test_outputs_come_in_typed_fields(plain):
    request = ask.predict("half_plus_two", x=floats(2, 4))
    output = plain.predict.Predict(request, timeout=60).outputs["y"]
    assert list(output.float_val) == [3.0, 4.0]
    assert output.tensor_content == b""
    assert [side.size for side in output.tensor_shape.dim] == [2]


VALUES = {
    "bool": [True, False, True],
    "string": [b"", b"plain", b"\x00\xff"],
    "complex64": [1 + 2j, -3.5j, 0],
    "complex128": [1 + 2j, -3.5j, 0],
}


@row("grpc.dtypes")
@pytest.mark.parametrize("dtype", saved_models.DTYPES, ids=lambda dtype: dtype.name)
def test_every_dtype_goes_in_and_comes_back(plain, dtype):
    given = VALUES.get(dtype.name, [0, 1, 100])
    tensor = tf.make_tensor_proto(given, dtype)
    request = ask.predict("echo", signature=dtype.name, x=tensor)
    output = plain.predict.Predict(request, timeout=60).outputs["y"]
    assert output.dtype == dtype.as_datatype_enum
    assert tf.make_ndarray(output).tolist() == given


@row("grpc.raw-input")
def test_raw_bytes_and_typed_fields_are_the_same(plain):
    raw = tf.make_tensor_proto(floats(1, 2, 5))
    assert raw.tensor_content
    typed = tf.make_tensor_proto(floats(1, 2, 5))
    typed.tensor_content = b""
    typed.float_val.extend([1, 2, 5])
    for tensor in (raw, typed):
        assert ask.answer(plain, "half_plus_two", x=tensor) == [2.5, 3, 4.5]


@row("grpc.broadcast-input")
def test_one_value_fills_the_whole_shape(plain):
    tensor = tf.make_tensor_proto(2.0, tf.float32)
    tensor.tensor_shape.dim.add(size=3)
    assert ask.answer(plain, "half_plus_two", x=tensor) == [3, 3, 3]


@row("grpc.several-inputs")
def test_several_inputs_and_outputs_go_by_alias(plain):
    request = ask.predict("mixed", a=floats(1.5, 2), b=np.array([2, 3], np.int32))
    outputs = plain.predict.Predict(request, timeout=60).outputs
    assert list(outputs["sum"].float_val) == [3.5, 5]
    assert list(outputs["product"].float_val) == [3, 6]


@row("grpc.strings")
def test_strings_are_bytes(plain):
    request = ask.predict("text", s=tf.make_tensor_proto([b"a", b"\x00\xff"]))
    output = plain.predict.Predict(request, timeout=60).outputs["y"]
    assert list(output.string_val) == [b"a!", b"\x00\xff!"]


@row("grpc.defaults")
def test_an_input_with_a_default_may_be_left_out(plain):
    assert ask.answer(plain, "defaults", a=floats(1, 2)) == [101, 102]


@row("grpc.defaults-given")
def test_a_given_input_wins_over_its_default(plain):
    given = {"a": floats(1, 2), "b": np.float32(5)}
    assert ask.answer(plain, "defaults", **given) == [6, 7]


@row("grpc.output-filter")
def test_an_output_filter_leaves_what_it_names(plain):
    given = {"a": floats(1), "b": np.array([2], np.int32)}
    request = ask.predict("mixed", only=["sum"], **given)
    assert set(plain.predict.Predict(request, timeout=60).outputs) == {"sum"}


@row("grpc.low-rank")
def test_a_wrong_low_rank_is_the_kernels_business(plain):
    given = np.array([[1, 2], [3, 5]], np.float32)
    assert ask.answer(plain, "half_plus_two", x=given) == [[2.5, 3], [3.5, 4.5]]
    assert ask.answer(plain, "half_plus_two", x=np.float32(2)) == 3


@row("grpc.classify-tf2")
def test_a_predict_signature_may_classify(plain):
    request = ask.classify("modern", ask.example(x=-2.0), signature="classify")
    answer = plain.predict.Classify(request, timeout=60)
    (best,) = answer.result.classifications[0].classes
    assert (best.label, best.score) == ("below", 2.0)


@row("grpc.regress-tf2")
def test_a_predict_signature_may_regress(plain):
    request = ask.regress("modern", ask.example(x=-2.0), signature="regress")
    answer = plain.predict.Regress(request, timeout=60)
    assert [each.value for each in answer.result.regressions] == [-4.0]


@row("deadlines.none")
def test_a_client_without_deadline_is_answered(plain):
    request = ask.predict("half_plus_two", x=floats(2))
    answer = plain.predict.Predict(request)
    assert list(answer.outputs["y"].float_val) == [3]


@row("transport.large")
def test_messages_above_four_mebibytes_go_both_ways(plain):
    given = np.full(3 << 20, 2, np.float32)
    output = plain.predict.Predict(ask.predict("half_plus_two", x=given), timeout=120)
    assert output.ByteSize() > 8 << 20
    values = tf.make_ndarray(output.outputs["y"])
    assert values.shape == given.shape
    assert (values == 3).all()


@row("versions.several")
def test_several_models_are_served_side_by_side(plain):
    assert ask.answer(plain, "half_plus_two", x=floats(2)) == [3]
    assert ask.answer(plain, "half_plus_three", x=floats(2)) == [4]
