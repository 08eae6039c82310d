"""The server as an object: starts, tells its ports, stops after draining."""

import logging
import socket
import threading
from concurrent import futures
from typing import Any, Final

import grpc
import uvicorn
from grpc_health.v1 import health_pb2_grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server import reflection, rest, warmup
from serving.server.calls import CallsInFlight
from serving.server.errors import NothingToServeError
from serving.server.flags import ServerConfig
from serving.server.health import Health
from serving.server.loader import Retries
from serving.server.manager import Models
from serving.server.model_config import read_models
from serving.server.model_service import ModelService
from serving.server.prediction import PredictionService

_log = logging.getLogger(__name__)

_LAST_ANSWER_SECONDS: Final = 1.0
"""For an answer that was computed to reach its client."""


_RETRY_SECONDS: Final = 1.0
"""Between two looks whether a version that failed is to be tried again."""


class EmbeddedServer:
    """Serves over gRPC and REST in threads of this process."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._health = Health()
        self._calls = CallsInFlight()
        self._models = Models(
            read_models(config),
            lambda model, number: warmup.load(
                model,
                number,
                config.enable_model_warmup,
                config.num_request_iterations_for_warmup,
            ),
            changed=self._follow,
            retries=Retries(
                config.max_num_load_retries, config.load_retry_interval_micros / 1e6
            ),
        )
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._grpc: grpc.Server | None = None
        self._http: uvicorn.Server | None = None

    def __enter__(self) -> tuple[int, int]:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> tuple[int, int]:
        """Loads the models, then opens the ports, as TF Serving does.

        Returns:
            The gRPC and the REST port; 0 for one that is off.

        Raises:
            NothingToServeError: There is no model where the configuration says.
            OSError: A port is taken.
        """
        self._models.start()
        try:
            grpc_port, rest_port = self._open_grpc(), self._open_rest()
        except OSError:
            self.stop()  # the first port must not answer where the second is taken
            raise
        if self._config.file_system_poll_wait_seconds > 0:
            self._every(self._config.file_system_poll_wait_seconds, self._models.update)
        elif self._config.max_num_load_retries > 0:
            self._every(_RETRY_SECONDS, self._models.retry)
        if (
            self._config.model_config_file is not None
            and self._config.model_config_file_poll_wait_seconds > 0
        ):
            self._every(self._config.model_config_file_poll_wait_seconds, self._reread)
        return grpc_port, rest_port

    def stop(self) -> None:
        """Says NOT_SERVING, lets the calls in flight end, closes the ports."""
        self._health.drain()
        self._stopping.set()
        if self._http is not None:
            self._http.should_exit = True
        if self._grpc is not None:
            stopped = self._grpc.stop(self._config.drain_seconds)
            self._calls.wait_until_none(self._config.drain_seconds)
            # Health watches never end by themselves: only answers under way remain.
            self._grpc.stop(_LAST_ANSWER_SECONDS)
            stopped.wait()
        for thread in self._threads:
            thread.join()

    def _open_grpc(self) -> int:
        if self._config.port is None:
            return 0
        server = grpc.server(
            futures.ThreadPoolExecutor(self._config.grpc_max_threads, "grpc"),
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                # Otherwise a second server would share the port without a word.
                ("grpc.so_reuseport", 0),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._models, self._calls), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(
                self._models,
                self._reload_allowed,
                self._config.allow_version_labels_for_unavailable_models,
            ),
            server,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        reflection.enable(server)
        address = f"{_bracketed(self._config.host)}:{self._config.port}"
        try:
            port = int(server.add_insecure_port(address))
        except RuntimeError:
            raise OSError(
                f"port {self._config.port} of {self._config.host} is taken; stop what "
                "uses it or name another with --port"
            ) from None
        server.start()
        self._grpc = server
        _log.info("gRPC on %s:%d", self._config.host, port)
        return port

    def _open_rest(self) -> int:
        if self._config.rest_api_port is None:
            return 0
        family = socket.AF_INET6 if ":" in self._config.host else socket.AF_INET
        try:
            listener = socket.create_server(
                (self._config.host, self._config.rest_api_port), family=family
            )
        except OSError:
            raise OSError(
                f"port {self._config.rest_api_port} of {self._config.host} is taken; "
                "stop what uses it or name another with --rest_api_port"
            ) from None
        http = uvicorn.Server(
            uvicorn.Config(
                rest.application(
                    self._models, self._config.rest_api_enable_cors_support
                ),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=round(self._config.drain_seconds),
            )
        )
        self._http = http
        self._run(lambda: http.run(sockets=[listener]))
        port = int(listener.getsockname()[1])
        _log.info("REST on %s:%d", self._config.host, port)
        return port

    def _reload_allowed(self) -> bool:
        local = self._config.host in ("localhost", "127.0.0.1", "::1")
        return local or self._config.allow_reload_by_rpc

    def _follow(self) -> None:
        self._health.follow(self._models.ready())

    def _reread(self) -> None:
        try:
            self._models.configure(read_models(self._config))
        except NothingToServeError as error:
            _log.error("kept the models as they are: %s", error)

    def _every(self, seconds: float, work: Any) -> None:
        def repeat() -> None:
            while not self._stopping.wait(seconds):
                try:
                    work()
                except OSError as error:  # the disk may be back by the next time
                    _log.error("could not look for versions: %s", error.strerror)
                except Exception:  # a thread that ended would follow no promotion
                    _log.exception("could not look for versions")

        self._run(repeat)

    def _run(self, work: Any) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
