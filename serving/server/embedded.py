"""The server as an object: starts, tells its ports, stops after draining."""

import asyncio
import logging
import socket
import threading
from typing import Any, Final

import anyio.to_thread
import grpc
import uvicorn
from grpc_health.v1 import health_pb2_grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server import reflection, rest, transport, warmup
from serving.server.call_interceptor import CallInterceptor
from serving.server.call_log import log_call
from serving.server.call_middleware import CallMiddleware
from serving.server.call_record import CallRecord
from serving.server.calls import CallsInFlight, CountingPool
from serving.server.config import ServerConfig
from serving.server.config_files import read_config_files
from serving.server.errors import NothingToServeError
from serving.server.health import Health
from serving.server.loader import Retries
from serving.server.manager import Models
from serving.server.metrics.page import Metrics
from serving.server.model_config import read_models
from serving.server.model_service import ModelService
from serving.server.prediction import PredictionService
from serving.server.runtime import Runtimes

_log = logging.getLogger(__name__)

_LAST_ANSWER_SECONDS: Final = 1.0
"""For an answer that was computed to reach its client."""


_RETRY_SECONDS: Final = 1.0
"""Between two looks whether a version that failed is to be tried again."""


class EmbeddedServer:
    """Serves over gRPC and REST in threads of this process."""

    def __init__(self, config: ServerConfig) -> None:
        """Reads the config files; loads nothing yet.

        Raises:
            NothingToServeError: The models' config file cannot be used.
            WrongConfigError: Another config file cannot be used.
        """
        self._config = config
        self._files = files = read_config_files(config)
        self._health = Health()
        self._calls = CallsInFlight()
        self._metrics: Metrics | None = None
        if files.metrics_path is not None:
            pool = files.batching.thread_pool_name if files.batching else ""
            self._metrics = Metrics(lambda: self._models.loaded(), pool)
        runtimes = Runtimes(config, files.batching, self._metrics)
        warmed_up = self._metrics.warmed_up if self._metrics else None
        self._models = Models(
            read_models(config),
            lambda model, number: warmup.load(
                model,
                number,
                warmup.Replays(
                    config.enable_model_warmup,
                    config.num_request_iterations_for_warmup,
                    warmed_up,
                ),
                runtimes.of,
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
            # A call may have come at that very moment, and answers are under way.
            if not stopped.wait(_LAST_ANSWER_SECONDS):
                self._calls.wait_until_none(self._config.drain_seconds)
                # Health watches never end by themselves.
                self._grpc.stop(_LAST_ANSWER_SECONDS)
                stopped.wait(self._config.drain_seconds + _LAST_ANSWER_SECONDS)
        for thread in self._threads:
            # None of them may hold up the end, whatever it is at.
            thread.join(self._config.drain_seconds + _LAST_ANSWER_SECONDS)

    def _open_grpc(self) -> int:
        config = self._config
        if config.port is None and config.grpc_socket_path is None:
            return 0
        server = grpc.server(
            CountingPool(config.grpc_max_threads, self._calls),
            interceptors=[CallInterceptor(self._ended)],
            options=transport.server_options(config),
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._models), server
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
        port = transport.listen(server, config, self._files.ssl)
        server.start()
        self._grpc = server
        if port:
            _log.info("gRPC on %s:%d", config.host, port)
        if config.grpc_socket_path is not None:
            _log.info("gRPC on a Unix socket")
        return port

    def _open_rest(self) -> int:
        config = self._config
        if config.rest_api_port is None:
            return 0
        listener = transport.listener(config)
        http = uvicorn.Server(
            uvicorn.Config(
                CallMiddleware(
                    rest.application(self._models, config.rest_api_enable_cors_support),
                    self._ended,
                    config.rest_api_timeout_in_ms / 1000,
                    self._metrics,
                    self._files.metrics_path,
                ),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=round(config.drain_seconds),
            )
        )
        self._http = http
        self._run(lambda: asyncio.run(self._serve_rest(http, listener)))
        port = int(listener.getsockname()[1])
        if self._files.ssl is not None:
            _log.warning("REST stays plain text: --ssl_config_file is for gRPC alone")
        _log.info("REST on %s:%d", config.host, port)
        return port

    def _reload_allowed(self) -> bool:
        return not self._config.open_to_others or self._config.allow_reload_by_rpc

    async def _serve_rest(self, http: uvicorn.Server, listener: socket.socket) -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = self._config.rest_api_num_threads
        await http.serve(sockets=[listener])

    def _ended(self, record: CallRecord) -> None:
        if self._metrics is not None:
            self._metrics.call(record)
        log_call(record)

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
