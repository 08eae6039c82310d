"""TensorFlow Serving's command line, with its names and forms of booleans."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from serving.server import ignored_flags
from serving.server.config import ServerConfig


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

    def add(name: str, kind: Callable[[str], object], text: str) -> None:
        parser.add_argument(f"--{name}", type=kind, default=default[name], help=text)

    add("host", str, "address to listen on; 0.0.0.0 opens the server to others")
    add("port", int, "gRPC port; 0 is off")
    add("rest_api_port", int, "REST port; 0 is off")
    add("model_name", str, "name of the model in --model_base_path")
    add("model_base_path", _path, "folder of numbered versions; serves the newest")
    add(
        "model_config_file", _path, "ModelServerConfig as text, for labels and versions"
    )
    add("model_config_file_poll_wait_seconds", float, "read it again; 0 is never")
    add("file_system_poll_wait_seconds", float, "look for versions; 0 is never")
    add("grpc_socket_path", _path, "Unix socket for gRPC")
    add("grpc_channel_arguments", str, "options of gRPC: name=value,name=value")
    add("grpc_max_threads", int, "gRPC calls answered at once")
    add("rest_api_num_threads", int, "REST calls answered at once")
    add("rest_api_timeout_in_ms", int, "milliseconds that a REST call may take")
    add("ssl_config_file", _path, "SSLConfig as text: TLS for gRPC; REST stays plain")
    add("monitoring_config_file", _path, "MonitoringConfig as text: Prometheus metrics")
    add("batching_parameters_file", _path, "BatchingParameters as text")
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
        action=_ShowVersion,
        dest=argparse.SUPPRESS,
        metavar="VERSION",
        type=_boolean,
        nargs="?",
        const=True,
        help="show the version and end",
    )
    ignored_flags.add(parser)
    return parser


class _ShowVersion(argparse.Action):
    """As argparse's own for versions, but `--version=false` goes on."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Shows it where asked to."""
        if values:
            print(f"embedded model server, TensorFlow {metadata.version('tensorflow')}")
            parser.exit()


def _path(text: str) -> Path | None:
    return Path(text) if text else None  # what is empty is not given, as in TF Serving


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"is true or false, got {text!r}")
    return text.lower() in ("true", "1")
