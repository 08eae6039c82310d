"""Predict: tensors in, tensors out; and the gRPC face of the inference calls."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.server import model_spec
from serving.server.classification import classify
from serving.server.errors import ServingError, invalid
from serving.server.manager import Models
from serving.server.metadata import metadata
from serving.server.multi_inference import multi_inference
from serving.server.regression import regress
from serving.server.session import DEFAULT_SIGNATURE, LoadedModel, Signature
from serving.server.tensors import Array, fill_proto, to_array

Answer = TypeVar("Answer")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Hands each call to the function of its name."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Runs a signature on tensors."""
        return answered(context, lambda: predict(self._models, request))

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Runs a classifier on Examples."""
        return answered(context, lambda: classify(self._models, request))

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Runs a regressor on Examples."""
        return answered(context, lambda: regress(self._models, request))

    def MultiInference(  # noqa: N802
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        """Runs several classifiers and regressors on the same Examples."""
        return answered(context, lambda: multi_inference(self._models, request))

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
    return run_predict(*model_spec.find(models, request), request)


def run_predict(
    model: LoadedModel, version: int, request: predict_pb2.PredictRequest
) -> Any:
    """Answers a PredictRequest by a certain version."""
    asked = request.model_spec.signature_name
    signature = model.signature(asked)
    if signature is None:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{asked or DEFAULT_SIGNATURE}" not found.',
        )
    # Inputs first: of two mistakes TF Serving names this one.
    inputs = _arrays(signature, request.inputs)
    outputs = chosen_outputs(signature, request.output_filter)
    arrays = model.run(signature, inputs, outputs)
    response = predict_pb2.PredictResponse()
    model_spec.fill(response, request.model_spec, version, signature.name)
    for alias, array in zip(outputs, arrays, strict=True):
        fill_proto(response.outputs[alias], array, signature.outputs[alias].dtype)
    return response


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
        signature: Whose inputs are wanted; those with a default may be left out.
        given: The aliases that the request carries.

    Raises:
        ServingError: One is missing, or one too many.
    """
    wanted, defaults = signature.inputs, signature.defaults
    if len(given) > len(wanted) or (len(given) < len(wanted) and not defaults):
        extra = _listed(set(given) - set(wanted))
        missing = _listed(set(wanted) - set(given))
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(wanted)} "
            f"len({{{_listed(given)}}}) != len({{{_listed(wanted)}}}). "
            f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
    for alias, tensor in wanted.items():
        if alias not in given and alias not in defaults:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {tensor.name}) not found "
                "in request and no default value provided. Inputs expected to be in "
                f"the request {{{_listed(given)}}}, or default input alias set: "
                f"{_listed(defaults)}"
            )
    used = set(given) & set(wanted)
    if len(used) < len(given):
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {_listed(used)}, "
            f"request input: {_listed(given)}"
        )


def _listed(aliases: Iterable[str]) -> str:
    return ",".join(sorted(aliases))


def _arrays(signature: Signature, given: Any) -> dict[str, Array]:
    check_aliases(signature, given)
    arrays = dict(signature.defaults)
    for alias in given:
        try:
            arrays[alias] = to_array(given[alias])
        except ValueError:
            raise invalid(f"tensor parsing error: {alias}") from None
    return arrays
