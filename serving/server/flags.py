"""TensorFlow Serving's command line, with its names and forms of booleans."""

import argparse
import dataclasses
import ipaddress
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from serving.server import ignored_flags
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


def parse(arguments: Sequence[str] | None = None) -> ServerConfig:
    """Reads the command line; ends the process with code 2 where it is wrong.

    Args:
        arguments: Without the program's name; those of the process if None.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    # On the command line 0 turns a port off, as in TF Serving.
    for name in ("port", "rest_api_port"):
        given[name] = given[name] or None
    if given.pop("use_alts_credentials"):
        parser.error("--use_alts_credentials: ALTS is not supported; use TLS")
    given["ignored_flags"] = ignored_flags.take(given)
    try:
        return ServerConfig(**given)
    except ValueError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serves SavedModels over gRPC and REST as TensorFlow Serving does.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    default = {field.name: field.default for field in dataclasses.fields(ServerConfig)}

    def add(name: str, kind: type, text: str) -> None:
        parser.add_argument(f"--{name}", type=kind, default=default[name], help=text)

    add("host", str, "address to listen on; 0.0.0.0 opens the server to others")
    add("port", int, "gRPC port; 0 is off")
    add("rest_api_port", int, "REST port; 0 is off")
    add("model_name", str, "name of the model in --model_base_path")
    add("model_base_path", Path, "folder of numbered versions; serves the newest")
    add("model_config_file", Path, "ModelServerConfig as text, for labels and versions")
    add("model_config_file_poll_wait_seconds", float, "read it again; 0 is never")
    add("file_system_poll_wait_seconds", float, "look for versions; 0 is never")
    add("grpc_socket_path", Path, "Unix socket for gRPC")
    add("grpc_channel_arguments", str, "options of gRPC: name=value,name=value")
    add("grpc_max_threads", int, "gRPC calls answered at once")
    add("rest_api_num_threads", int, "REST calls answered at once")
    add("rest_api_timeout_in_ms", int, "milliseconds that a REST call may take")
    add("ssl_config_file", Path, "SSLConfig as text: TLS for gRPC; REST stays plain")
    add("monitoring_config_file", Path, "MonitoringConfig as text: Prometheus metrics")
    add("batching_parameters_file", Path, "BatchingParameters as text")
    add("tensorflow_session_parallelism", int, "threads of a session; 0 is all cores")
    add("tensorflow_intra_op_parallelism", int, "threads in an operation; 0 is all")
    add("tensorflow_inter_op_parallelism", int, "operations at once; 0 is all cores")
    add("saved_model_tags", str, "of the graph in a SavedModel, separated by commas")
    add("log_format", str, "plain, json, or auto: plain on a terminal")
    add("drain_seconds", float, "time for calls in flight after a stop signal")
    add("num_request_iterations_for_warmup", int, "replays of a warm-up request")
    add("max_num_load_retries", int, "new tries of a version that did not load")
    add("load_retry_interval_micros", int, "microseconds between two of these")

    def switch(name: str, text: str) -> None:
        parser.add_argument(
            f"--{name}",
            type=_boolean,
            nargs="?",
            const=True,
            default=default[name],
            help=text,
        )

    switch("enable_model_warmup", "replay warm-up requests before serving a version")
    switch(
        "allow_version_labels_for_unavailable_models",
        "let new labels name versions that are not loaded yet, as at the start",
    )
    switch(
        "allow_reload_by_rpc",
        "let clients change what is served although --host lets others in",
    )
    switch("rest_api_enable_cors_support", "let pages of any web site ask over REST")
    switch("enable_batching", "merge calls that wait for the same computation")
    switch(
        "enable_per_model_batching_parameters",
        "take them from a version's batching_params.pbtxt, if it has one",
    )
    parser.add_argument(
        "--use_alts_credentials",
        type=_boolean,
        nargs="?",
        const=True,
        default=False,
        help="is refused: ALTS is not supported",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"embedded model server, TensorFlow {metadata.version('tensorflow')}",
    )
    ignored_flags.add(parser)
    return parser


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"is true or false, got {text!r}")
    return text.lower() in ("true", "1")
