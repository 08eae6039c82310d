"""The settings of a server: what to serve, where, and how."""

import dataclasses
import ipaddress
import os
from pathlib import Path
from typing import Final

from serving.server.call_log import FORMATS

_CPUS: Final = len(os.sched_getaffinity(0))


@dataclasses.dataclass(frozen=True, slots=True)
class ServerConfig:
    """What to serve, and where.

    Attributes:
        host: Address to listen on.
        port: gRPC port; 0 takes any free one, None turns gRPC off.
        rest_api_port: REST port; 0 takes any free one, None turns REST off.
        model_name: Name of the model in `model_base_path`.
        model_base_path: Folder of numbered versions; the newest is served.
        model_config_file: TF Serving's `ModelServerConfig` as text; takes the place
            of the two above.
        model_config_file_poll_wait_seconds: Reads it again that often; 0 is never.
        file_system_poll_wait_seconds: Looks for versions that often; 0 is never.
        enable_model_warmup: Replays a version's warm-up requests before serving it.
        num_request_iterations_for_warmup: Replays each of them that often.
        max_num_load_retries: Tries a version that did not load again that often.
        load_retry_interval_micros: Microseconds between two of these times.
        allow_version_labels_for_unavailable_models: Lets the first config file, and
            a reload by RPC, give new labels to versions that are not loaded yet.
        allow_reload_by_rpc: Lets clients change what is served even where `host` lets
            others in.
        rest_api_enable_cors_support: Lets pages of any web site ask over REST.
        grpc_socket_path: Unix socket for gRPC, beside the port or in its place.
        grpc_channel_arguments: Options of gRPC: `name=value,name=value`.
        grpc_max_threads: gRPC calls answered at once.
        rest_api_num_threads: REST calls answered at once.
        rest_api_timeout_in_ms: Milliseconds that a REST call may take.
        ssl_config_file: TF Serving's `SSLConfig` as text: TLS for gRPC.
        monitoring_config_file: `MonitoringConfig` as text: metrics for Prometheus.
        enable_batching: Merges calls that wait for the same computation.
        batching_parameters_file: `BatchingParameters` as text.
        enable_per_model_batching_parameters: Takes them from a version's own
            `batching_params.pbtxt`; one without such a file is not batched.
        tensorflow_session_parallelism: Threads of both kinds below; 0 is all cores.
        tensorflow_intra_op_parallelism: Threads inside an operation; 0 is all cores.
        tensorflow_inter_op_parallelism: Operations at once; 0 is all cores.
        saved_model_tags: Of the graph in a SavedModel, with commas between them.
        log_format: `plain`, `json`, or `auto`: plain on a terminal, JSON elsewhere.
        ignored_flags: Flags of TF Serving that were given and do nothing here.
        drain_seconds: How long calls in flight may take after a stop signal.
    """

    host: str = "127.0.0.1"
    port: int | None = 8500
    rest_api_port: int | None = 8501
    model_name: str = "default"
    model_base_path: Path | None = None
    model_config_file: Path | None = None
    model_config_file_poll_wait_seconds: float = 0
    file_system_poll_wait_seconds: float = 1
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 1
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    allow_version_labels_for_unavailable_models: bool = False
    allow_reload_by_rpc: bool = False
    rest_api_enable_cors_support: bool = False
    grpc_socket_path: Path | None = None
    grpc_channel_arguments: str = ""
    grpc_max_threads: int = 4 * _CPUS
    rest_api_num_threads: int = 4 * _CPUS
    rest_api_timeout_in_ms: int = 30_000
    ssl_config_file: Path | None = None
    monitoring_config_file: Path | None = None
    enable_batching: bool = False
    batching_parameters_file: Path | None = None
    enable_per_model_batching_parameters: bool = False
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    saved_model_tags: str = "serve"
    log_format: str = "auto"
    drain_seconds: float = 30
    ignored_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.model_base_path is None and self.model_config_file is None:
            raise ValueError(
                "no model is named; give --model_base_path=models/mri_contrast "
                "--model_name=mri_contrast, or --model_config_file "
                "(`make publish` makes a model)"
            )
        listens = (self.port, self.rest_api_port, self.grpc_socket_path)
        if listens == (None, None, None):
            raise ValueError("both ports are off; give --port or --rest_api_port")
        for name in ("port", "rest_api_port"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 65535:
                raise ValueError(f"--{name} must be from 0 to 65535, got {value}")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(
                    f"--{name} must be {least} or more, got {getattr(self, name)}"
                )
        if self.batching_parameters_file is not None and not self.enable_batching:
            raise ValueError(
                "--batching_parameters_file is set without setting --enable_batching "
                "to true"
            )
        if self.log_format not in FORMATS:
            raise ValueError(
                f"--log_format is one of {', '.join(FORMATS)}, got {self.log_format!r}"
            )
        channel_arguments(self.grpc_channel_arguments)
        self._check_parallelism()

    def _check_parallelism(self) -> None:
        apart = (
            self.tensorflow_intra_op_parallelism,
            self.tensorflow_inter_op_parallelism,
        )
        if self.tensorflow_session_parallelism and any(apart):
            raise ValueError(
                "--tensorflow_session_parallelism sets both kinds of threads; leave it "
                "out, or --tensorflow_intra_op_parallelism and "
                "--tensorflow_inter_op_parallelism"
            )

    @property
    def open_to_others(self) -> bool:
        """Whether other machines can reach the server; a Unix socket is not open."""
        if self.port is None and self.rest_api_port is None:
            return False
        if self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # some other name, which may be anybody's
            return True


_LEAST: Final = {
    "grpc_max_threads": 1,
    "rest_api_num_threads": 1,
    "rest_api_timeout_in_ms": 1,
    "tensorflow_session_parallelism": 0,
    "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0,
    "drain_seconds": 0,
}


def channel_arguments(text: str) -> dict[str, int | str]:
    """Reads `name=value,name=value`; values that are whole numbers become such.

    Raises:
        ValueError: One has no `=`.
    """
    given: dict[str, int | str] = {}
    for argument in filter(None, text.split(",")):
        name, equals, value = argument.partition("=")
        if not name or not equals:
            raise ValueError(
                f"--grpc_channel_arguments must be name=value,…, got {argument!r}"
            )
        given[name] = int(value) if value.lstrip("-").isdecimal() else value
    return given
