"""GetModelStatus: which versions there are, and what state each is in."""

from typing import Any

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.server.errors import ServingError, invalid
from serving.server.models import Models, status_proto
from serving.server.prediction import answered


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """The gRPC face of `model_status`."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def GetModelStatus(  # noqa: N802
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        """Tells the state of a model's versions."""
        return answered(context, lambda: model_status(self._models, request))


def model_status(
    models: Models, request: get_model_status_pb2.GetModelStatusRequest
) -> Any:
    """Answers a GetModelStatusRequest; as in TF Serving, a label asks for all versions.

    Raises:
        ServingError: The model or version is unknown.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    versions = models.statuses(spec.name)
    if not versions:
        raise ServingError(
            grpc.StatusCode.NOT_FOUND,
            f"Could not find any versions of model {spec.name}",
        )
    if spec.HasField("version"):
        versions = [each for each in versions if each.number == spec.version.value]
        if not versions:
            raise ServingError(
                grpc.StatusCode.NOT_FOUND,
                f"Could not find version {spec.version.value} of model {spec.name}",
            )
    response = get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.extend(map(status_proto, versions))
    return response
