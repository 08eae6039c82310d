"""Predict, Classify and GetModelMetadata: from a request to its answer."""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.calls import CallsInFlight
from serving.server.errors import ServingError, invalid
from serving.server.models import Models
from serving.server.session import LoadedModel, Signature
from serving.server.tensors import Array, fill_proto, to_array

Answer = TypeVar("Answer")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """The gRPC face of the functions below."""

    def __init__(self, models: Models, calls: CallsInFlight) -> None:
        self._models = models
        self._calls = calls

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Runs a signature on tensors."""
        with self._calls:
            return answered(context, lambda: predict(self._models, request))

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Runs a classifier on Examples."""
        with self._calls:
            return answered(context, lambda: classify(self._models, request))

    def GetModelMetadata(  # noqa: N802
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        """Tells a model's signatures."""
        return answered(context, lambda: metadata(self._models, request))


def answered(context: grpc.ServicerContext, answer: Callable[[], Answer]) -> Answer:
    """Computes an answer, or ends the call with the refusal's code and text."""
    try:
        return answer()
    except ServingError as error:
        context.abort(error.code, error.text)
        raise AssertionError("abort always raises") from error


def predict(models: Models, request: predict_pb2.PredictRequest) -> Any:
    """Answers a PredictRequest.

    Raises:
        ServingError: With TF Serving's code and text.
    """
    return run_predict(*_find(models, request), request)


def run_predict(
    model: LoadedModel, version: int, request: predict_pb2.PredictRequest
) -> Any:
    """Answers a PredictRequest by a certain version."""
    asked = request.model_spec.signature_name
    signature = model.signature(asked)
    if signature is None:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{asked}" not found.',
        )
    outputs = chosen_outputs(signature, request.output_filter)
    arrays = model.run(signature, _arrays(signature, request.inputs), outputs)
    response = predict_pb2.PredictResponse()
    _fill_spec(response, request, version, signature.name)
    for alias, array in zip(outputs, arrays, strict=True):
        fill_proto(response.outputs[alias], array, signature.outputs[alias].dtype)
    return response


def classify(models: Models, request: classification_pb2.ClassificationRequest) -> Any:
    """Answers a ClassificationRequest.

    Raises:
        ServingError: With TF Serving's code and text.
    """
    return run_classify(*_find(models, request), request)


def run_classify(
    model: LoadedModel,
    version: int,
    request: classification_pb2.ClassificationRequest,
) -> Any:
    """Answers a ClassificationRequest by a certain version."""
    asked = request.model_spec.signature_name
    signature = model.signature(asked)
    if signature is None:
        raise invalid(f"No signature was found with the name: {asked}")
    outputs = [alias for alias in ("classes", "scores") if alias in signature.outputs]
    if set(signature.inputs) != {"inputs"} or len(outputs) != len(signature.outputs):
        raise invalid(
            f"signature {signature.name} cannot classify: it takes "
            f"{{{','.join(signature.inputs)}}} and gives "
            f"{{{','.join(signature.outputs)}}}, not inputs, classes and scores"
        )
    arrays = model.run(signature, {"inputs": _examples(request.input)}, outputs)
    response = classification_pb2.ClassificationResponse()
    _fill_spec(response, request, version, signature.name)
    columns = dict(zip(outputs, arrays, strict=True))
    for row in range(len(arrays[0])):
        classes = response.result.classifications.add().classes
        for column in range(arrays[0].shape[1]):
            each = classes.add()
            if "classes" in columns:
                each.label = columns["classes"][row, column].decode()
            if "scores" in columns:
                each.score = columns["scores"][row, column]
    return response


def metadata(
    models: Models, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> Any:
    """Answers a GetModelMetadataRequest.

    Raises:
        ServingError: The model or the asked field is unknown.
    """
    if not request.metadata_field:
        raise invalid(
            "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    model, version = _find(models, request)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in model.definitions.items():
        definitions.signature_def[name].CopyFrom(definition)
    response.metadata["signature_def"].Pack(definitions)
    return response


def _find(models: Models, request: Any) -> tuple[LoadedModel, int]:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return models.find(request.model_spec)


def _fill_spec(response: Any, request: Any, version: int, signature: str) -> None:
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature


def chosen_outputs(signature: Signature, chosen: Any) -> list[str]:
    """Returns the outputs that an output filter leaves; all where it is empty.

    Raises:
        ServingError: It names one twice, or one that there is not.
    """
    outputs: list[str] = []
    for alias in chosen:
        if alias not in signature.outputs:
            known = ",".join(signature.outputs)
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs "
                f"expected to be in the set {{{known}}}."
            )
        if alias in outputs:
            raise invalid(f"duplicate output tensor alias: {alias}")
        outputs.append(alias)
    return outputs or list(signature.outputs)


def check_aliases(signature: Signature, given: Any) -> None:
    """Refuses inputs other than the signature's.

    Args:
        signature: Whose inputs are wanted.
        given: The aliases that the request carries.

    Raises:
        ServingError: One is missing, or one too many.
    """
    wanted = signature.inputs
    if len(given) != len(wanted):
        extra = ",".join(sorted(set(given) - set(wanted)))
        missing = ",".join(sorted(set(wanted) - set(given)))
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(wanted)} "
            f"len({{{','.join(sorted(given))}}}) != len({{{','.join(wanted)}}}). "
            f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
    for alias, tensor in wanted.items():
        if alias not in given:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {tensor.name}) not found "
                "in request and no default value provided. Inputs expected to be in "
                f"the request {{{','.join(sorted(given))}}}, or default input alias "
                "set: "
            )


def _arrays(signature: Signature, given: Any) -> dict[str, Array]:
    check_aliases(signature, given)
    arrays = {}
    for alias in signature.inputs:
        try:
            arrays[alias] = to_array(given[alias])
        except ValueError:
            raise invalid(f"tensor parsing error: {alias}") from None
    return arrays


def _examples(given: Any) -> Array:
    """Serialises the Examples of an Input, the shared context merged into each."""
    kind = given.WhichOneof("kind")
    examples = list(getattr(given, kind).examples) if kind else []
    if not examples:
        raise invalid("Input is empty.")
    if kind == "example_list_with_context":
        context = given.example_list_with_context.context
        for example in examples:
            merged = tf.train.Example.FromString(context.SerializeToString())
            merged.MergeFrom(example)
            example.CopyFrom(merged)
    serialised = [example.SerializeToString() for example in examples]
    return np.array(serialised, object)
