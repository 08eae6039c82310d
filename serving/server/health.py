"""grpc.health.v1 that follows the models: TF Serving's own says SERVING for ever."""

from typing import Final

from grpc_health.v1 import health, health_pb2

SERVICES: Final = (
    "",
    "ModelService",
    "PredictionService",
    "tensorflow.serving.ModelService",
    "tensorflow.serving.PredictionService",
)
"""The whole server, TF Serving's short names, and the names of the services."""


class Health:
    """Keeps what the health service answers in step with the models."""

    def __init__(self) -> None:
        self.servicer = health.HealthServicer(experimental_non_blocking=True)
        self.follow(False)

    def follow(self, ready: bool) -> None:
        """Says SERVING where every model can answer; nothing after `drain`."""
        status = health_pb2.HealthCheckResponse
        for service in SERVICES:
            self.servicer.set(service, status.SERVING if ready else status.NOT_SERVING)

    def drain(self) -> None:
        """Says NOT_SERVING from now on."""
        self.servicer.enter_graceful_shutdown()
