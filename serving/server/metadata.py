"""GetModelMetadata: a model's signatures."""

from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2

from serving.server import model_spec
from serving.server.errors import invalid
from serving.server.manager import Models


def metadata(
    models: Models, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> Any:
    """Answers a GetModelMetadataRequest.

    Raises:
        ServingError: The model or the asked field is unknown.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid(
            "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    model, version = model_spec.find(models, request)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in model.definitions.items():
        definitions.signature_def[name].CopyFrom(definition)
    response.metadata["signature_def"].Pack(definitions)
    return response
