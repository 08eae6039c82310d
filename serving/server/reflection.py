"""gRPC reflection: clients without the messages' definitions learn them from here.

tensorflow-serving-api ships the files of its services in a form that today's protobuf
cannot import, so they are described anew, in a pool of their own.
"""

from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

_PACKAGE: Final = "tensorflow.serving"

_SERVICES: Final[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
    "PredictionService": {
        "Classify": (
            classification_pb2.ClassificationRequest,
            classification_pb2.ClassificationResponse,
        ),
        "Regress": (
            regression_pb2.RegressionRequest,
            regression_pb2.RegressionResponse,
        ),
        "Predict": (predict_pb2.PredictRequest, predict_pb2.PredictResponse),
        "MultiInference": (
            inference_pb2.MultiInferenceRequest,
            inference_pb2.MultiInferenceResponse,
        ),
        "GetModelMetadata": (
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_metadata_pb2.GetModelMetadataResponse,
        ),
    },
    "ModelService": {
        "GetModelStatus": (
            get_model_status_pb2.GetModelStatusRequest,
            get_model_status_pb2.GetModelStatusResponse,
        ),
        "HandleReloadConfigRequest": (
            model_management_pb2.ReloadConfigRequest,
            model_management_pb2.ReloadConfigResponse,
        ),
    },
}
_FILES: Final = {
    "PredictionService": "tensorflow_serving/apis/prediction_service.proto",
    "ModelService": "tensorflow_serving/apis/model_service.proto",
}


def enable(server: grpc.Server) -> None:
    """Lets a server tell of its services and their messages."""
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()
    for message in (
        # What `Any` in the answer of GetModelMetadata holds.
        get_model_metadata_pb2.SignatureDefMap,
        health_pb2.HealthCheckRequest,
        reflection_pb2.ServerReflectionRequest,
    ):
        _add(pool, message.DESCRIPTOR.file, added)
    for name, methods in _SERVICES.items():
        for pair in methods.values():
            for message in pair:
                _add(pool, message.DESCRIPTOR.file, added)
        pool.Add(_service(name, methods))
    names = [f"{_PACKAGE}.{name}" for name in _SERVICES]
    health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    reflection.enable_server_reflection(
        [*names, health, reflection.SERVICE_NAME], server, pool=pool
    )


def _add(pool: descriptor_pool.DescriptorPool, file: Any, added: set[str]) -> None:
    """Copies a file and those that it imports, these first."""
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(pool, dependency, added)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    pool.Add(proto)


def _service(
    name: str, methods: Mapping[str, tuple[Any, Any]]
) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=_FILES[name], package=_PACKAGE, syntax="proto3"
    )
    service = file.service.add(name=name)
    for method, (request, response) in methods.items():
        service.method.add(
            name=method,
            input_type=f".{request.DESCRIPTOR.full_name}",
            output_type=f".{response.DESCRIPTOR.full_name}",
        )
        for message in (request, response):
            if message.DESCRIPTOR.file.name not in file.dependency:
                file.dependency.append(message.DESCRIPTOR.file.name)
    return file
