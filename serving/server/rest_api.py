"""Answers of the REST API, as text: predict, classify, regress, status, metadata."""

import json
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    regression_pb2,
)

from serving.server import rest_json, rest_paths
from serving.server.classification import classify
from serving.server.errors import invalid
from serving.server.manager import Models
from serving.server.metadata import metadata
from serving.server.model_service import model_status
from serving.server.regression import regress
from serving.server.rest_examples import read_examples
from serving.server.rest_inputs import read_inputs
from serving.server.rest_outputs import shortest, write_outputs, write_results
from serving.server.session import DEFAULT_SIGNATURE


def answer(models: Models, method: str, path: str, body: bytes) -> str:
    """Answers a request under `/v1/`.

    Args:
        models: Who answers.
        method: HTTP's.
        path: As it was sent, without the query.
        body: Unzipped.

    Returns:
        JSON.

    Raises:
        ServingError: With TF Serving's code and text.
    """
    what, spec = rest_paths.parse(method, path)
    if what == "status":
        return _status(models, spec)
    if what == "metadata":
        return _metadata(models, spec)
    asked = rest_json.parse(body)
    spec.signature_name = rest_json.signature_name(asked)
    if what == "predict":
        return _predict(models, spec, asked)
    if what == "classify":
        return _classify(models, spec, asked)
    return _regress(models, spec, asked)


def _predict(models: Models, spec: model_pb2.ModelSpec, asked: dict[str, Any]) -> str:
    model, _version = models.find(spec)
    signature = model.signature(spec.signature_name)
    if signature is None:
        name = spec.signature_name or DEFAULT_SIGNATURE
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    inputs = read_inputs(asked, signature)
    aliases = list(signature.outputs)
    arrays = model.run(signature, inputs, aliases)
    outputs = dict(zip(aliases, arrays, strict=True))
    return write_outputs(signature, outputs, by_row="instances" in asked)


def _classify(models: Models, spec: model_pb2.ModelSpec, asked: dict[str, Any]) -> str:
    request = classification_pb2.ClassificationRequest(
        model_spec=spec, input=read_examples(asked, "classify")
    )
    rows = classify(models, request).result.classifications
    return write_results(
        [[[each.label, shortest(each.score)] for each in row.classes] for row in rows]
    )


def _regress(models: Models, spec: model_pb2.ModelSpec, asked: dict[str, Any]) -> str:
    request = regression_pb2.RegressionRequest(
        model_spec=spec, input=read_examples(asked, "regress")
    )
    rows = regress(models, request).result.regressions
    return write_results([shortest(row.value) for row in rows])


def _status(models: Models, spec: model_pb2.ModelSpec) -> str:
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
    return json.dumps(_to_json(model_status(models, request)), indent=1)


def _metadata(models: Models, spec: model_pb2.ModelSpec) -> str:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=spec, metadata_field=["signature_def"]
    )
    response = metadata(models, request)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(definitions)
    content = {
        "model_spec": _to_json(response.model_spec),
        "metadata": {"signature_def": _to_json(definitions)},
    }
    return json.dumps(content, indent=1)


def _to_json(message: Any) -> Any:
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
