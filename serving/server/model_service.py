"""ModelService: what state versions are in, and a new configuration while it runs."""

import logging
from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
)

from serving.server import call_record
from serving.server.errors import ServingError, invalid
from serving.server.manager import Models
from serving.server.model_config import from_proto
from serving.server.prediction import answered
from serving.server.version_state import to_proto

_log = logging.getLogger(__name__)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """The gRPC face of the functions below."""

    def __init__(
        self,
        models: Models,
        reload_allowed: Callable[[], bool] = lambda: True,
        allow_labels_for_unavailable: bool = False,
    ) -> None:
        """Answers for the models.

        Args:
            models: Whose state is told and changed.
            reload_allowed: Whether clients may change what is served.
            allow_labels_for_unavailable: As
                `--allow_version_labels_for_unavailable_models` says.
        """
        self._models = models
        self._reload_allowed = reload_allowed
        self._allow_labels = allow_labels_for_unavailable

    def GetModelStatus(  # noqa: N802
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        """Tells the state of a model's versions."""
        return answered(context, lambda: model_status(self._models, request))

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        """Replaces the whole configuration; answers when new models can answer.

        As in TF Serving the answer holds the status that the call ends with.
        """
        response = model_management_pb2.ReloadConfigResponse()
        response.status.error_code = 0
        try:
            if not self._reload_allowed():
                raise _closed()
            reload_config(self._models, request, self._allow_labels)
        except ServingError as error:
            _log.error("kept from reloading the configuration: %s", error.text)
            response.status.error_code = error.code.value[0]
            response.status.error_message = error.text
            context.set_code(error.code)
            context.set_details(error.text)
        return response


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
    versions = models.statuses(spec.name)
    if versions:
        call_record.found(spec.name)
    if spec.HasField("version"):
        versions = [each for each in versions if each.number == spec.version.value]
        missing = f"version {spec.version.value}"
    else:
        missing = "any versions"
    if not versions:
        raise ServingError(
            grpc.StatusCode.NOT_FOUND, f"Could not find {missing} of model {spec.name}"
        )
    response = get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.extend(map(to_proto, versions))
    return response


def reload_config(
    models: Models,
    request: model_management_pb2.ReloadConfigRequest,
    allow_labels_for_unavailable: bool,
) -> None:
    """Replaces the configuration of the models.

    Raises:
        ServingError: With TF Serving's code and text.
    """
    if not request.config.HasField("model_config_list"):
        raise invalid(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
            "ModelConfigList is currently supported"
        )
    models.reload(
        from_proto(request.config, models.names()), allow_labels_for_unavailable
    )


def _closed() -> ServingError:
    return ServingError(
        grpc.StatusCode.PERMISSION_DENIED,
        "this server is open to others, so its configuration is not changed by RPC; "
        "start it with --allow_reload_by_rpc",
    )
