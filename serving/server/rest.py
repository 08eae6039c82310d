"""REST as TF Serving speaks it: predict, status and metadata."""

import json
import re
from typing import Any, Final

import grpc
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
)

from serving.server.errors import ServingError, invalid
from serving.server.model_service import model_status
from serving.server.models import Models
from serving.server.prediction import check_aliases, metadata
from serving.server.rest_tensors import read_inputs, write_outputs
from serving.versions import VERSION_LIMIT

_MODEL: Final = r"([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
_INFER: Final = re.compile(rf"(?i)/v1/models/{_MODEL}:(classify|regress|predict)")
_STATUS: Final = re.compile(rf"(?i)/v1/models(?:/{_MODEL})?(/metadata)?")

_HTTP: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""`http_server.cc`; every other code is a 500."""


def application(models: Models) -> Starlette:
    """Returns the ASGI application that answers for the models."""

    async def answer(request: Request) -> Response:
        body = await request.body()
        method, path = request.method, request.url.path
        try:
            content = await run_in_threadpool(_answer, models, method, path, body)
        except ServingError as error:
            return _json({"error": error.text}, _HTTP.get(error.code, 500))
        return _json(content, 200)

    everything = Route("/{path:path}", answer, methods=["GET", "POST"])
    return Starlette(routes=[everything])


def _json(content: Any, status: int) -> Response:
    # NaN and infinities are written as TF Serving writes them, outside of JSON proper.
    text = json.dumps(content, separators=(",", ":"))
    return Response(text, status, media_type="application/json")


def _answer(models: Models, method: str, path: str, body: bytes) -> Any:
    if not path.lower().startswith("/v1/"):
        raise ServingError(grpc.StatusCode.NOT_FOUND, f"Not found: {path}")
    if method == "POST" and (match := _INFER.fullmatch(path)):
        name, version, label, verb = match.groups()
        spec = _spec(name, version, label)
        if verb.lower() == "predict":
            return _predict(models, spec, body)
        raise ServingError(
            grpc.StatusCode.UNIMPLEMENTED, f"{verb} is answered over gRPC only"
        )
    if method == "GET" and (match := _STATUS.fullmatch(path)):
        name, version, label, wants_metadata = match.groups()
        if not name:
            raise invalid("Missing model name in request.")
        spec = _spec(name, version, label)
        return _metadata(models, spec) if wants_metadata else _status(models, spec)
    raise invalid(f"Malformed request: {method} {path}")


def _spec(name: str, version: str | None, label: str | None) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=name)
    if version is not None:
        number = int(version)
        if number >= VERSION_LIMIT:
            raise invalid(f"version {version} does not fit an int64")
        spec.version.value = number
    elif label is not None:
        spec.version_label = label
    return spec


def _predict(models: Models, spec: model_pb2.ModelSpec, body: bytes) -> Any:
    try:
        asked = json.loads(body)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(asked, dict):
        raise invalid("JSON body is no object")
    name = asked.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("signature_name must be a string")
    model, _version = models.find(spec)
    signature = model.signature(name)
    if signature is None:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{name}" not found.',
        )
    inputs = read_inputs(asked, signature)
    check_aliases(signature, inputs)
    aliases = list(signature.outputs)
    arrays = model.run(signature, inputs, aliases)
    outputs = dict(zip(aliases, arrays, strict=True))
    return write_outputs(outputs, by_row="instances" in asked)


def _status(models: Models, spec: model_pb2.ModelSpec) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
    return _to_json(model_status(models, request))


def _metadata(models: Models, spec: model_pb2.ModelSpec) -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=spec, metadata_field=["signature_def"]
    )
    response = metadata(models, request)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(definitions)
    return {
        "model_spec": _to_json(response.model_spec),
        "metadata": {"signature_def": _to_json(definitions)},
    }


def _to_json(message: Any) -> Any:
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
