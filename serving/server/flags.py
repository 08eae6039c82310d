"""TensorFlow Serving's command line, with its names and forms of booleans."""

import argparse
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path


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
        grpc_max_threads: Calls answered at once.
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
    grpc_max_threads: int = 4 * (os.cpu_count() or 1)
    drain_seconds: float = 30

    def __post_init__(self) -> None:
        if self.model_base_path is None and self.model_config_file is None:
            raise ValueError(
                "no model is named; give --model_base_path=models/mri_contrast "
                "--model_name=mri_contrast, or --model_config_file "
                "(`make publish` makes a model)"
            )
        if self.port is None and self.rest_api_port is None:
            raise ValueError("both ports are off; give --port or --rest_api_port")
        for name in ("port", "rest_api_port"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 65535:
                raise ValueError(f"--{name} must be from 0 to 65535, got {value}")
        if self.grpc_max_threads < 1:
            raise ValueError(
                f"--grpc_max_threads must be 1 or more, got {self.grpc_max_threads}"
            )


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
    add("grpc_max_threads", int, "calls answered at once")
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
    return parser


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"is true or false, got {text!r}")
    return text.lower() in ("true", "1")
