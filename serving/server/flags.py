"""TensorFlow Serving's command line, with its names and forms of booleans."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from serving.server import ignored_flags
from serving.server.config import ServerConfig


def _path(text: str) -> Path | None:
    return Path(text) if text else None  # what is empty is not given, as in TF Serving


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"is true or false, got {text!r}")
    return text.lower() in ("true", "1")


_VALUES: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "host": (str, "address to listen on; 0.0.0.0 opens the server to others"),
    "port": (int, "gRPC port; 0 is off"),
    "rest_api_port": (int, "REST port; 0 is off"),
    "model_name": (str, "name of the model in --model_base_path"),
    "model_base_path": (_path, "folder of numbered versions; serves the newest"),
    "model_config_file": (_path, "ModelServerConfig as text, for labels and versions"),
    "model_config_file_poll_wait_seconds": (float, "read it again; 0 is never"),
    "file_system_poll_wait_seconds": (float, "look for versions; 0 is never"),
    "grpc_socket_path": (_path, "Unix socket for gRPC"),
    "grpc_channel_arguments": (str, "options of gRPC: name=value,name=value"),
    "grpc_max_threads": (int, "gRPC calls answered at once"),
    "rest_api_num_threads": (int, "REST calls answered at once"),
    "rest_api_timeout_in_ms": (int, "milliseconds that a REST call may take"),
    "ssl_config_file": (_path, "SSLConfig as text: TLS for gRPC; REST stays plain"),
    "monitoring_config_file": (_path, "MonitoringConfig as text: Prometheus metrics"),
    "batching_parameters_file": (_path, "BatchingParameters as text"),
    "tensorflow_session_parallelism": (int, "threads of a session; 0 is all cores"),
    "tensorflow_intra_op_parallelism": (int, "threads in an operation; 0 is all"),
    "tensorflow_inter_op_parallelism": (int, "operations at once; 0 is all cores"),
    "saved_model_tags": (str, "of the graph in a SavedModel, separated by commas"),
    "log_format": (str, "plain, json, or auto: plain on a terminal"),
    "drain_seconds": (float, "time for calls in flight after a stop signal"),
    "num_request_iterations_for_warmup": (int, "replays of a warm-up request"),
    "max_num_load_retries": (int, "new tries of a version that did not load"),
    "load_retry_interval_micros": (int, "microseconds between two of these"),
}
"""How each is read, and what it is."""

_SWITCHES: Final = {
    "enable_model_warmup": "replay warm-up requests before serving a version",
    "allow_version_labels_for_unavailable_models": "let new labels name versions that "
    "are not loaded yet, as at the start",
    "allow_reload_by_rpc": "let clients change what is served although --host lets "
    "others in",
    "rest_api_enable_cors_support": "let pages of any web site ask over REST",
    "enable_batching": "merge calls that wait for the same computation",
    "enable_per_model_batching_parameters": "take them from a version's "
    "batching_params.pbtxt, if it has one",
    "use_alts_credentials": "is refused: ALTS is not supported",
}
"""Booleans: `--name`, `--name=true`, `--name=false`."""


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
    for name, (kind, text) in _VALUES.items():
        parser.add_argument(f"--{name}", type=kind, default=default[name], help=text)
    maybe: dict[str, Any] = {"type": _boolean, "nargs": "?", "const": True}
    for name, text in _SWITCHES.items():
        on = default.get(name, False)
        parser.add_argument(f"--{name}", **maybe, default=on, help=text)
    parser.add_argument(
        "--version",
        **maybe,
        action=_ShowVersion,
        dest=argparse.SUPPRESS,
        metavar="VERSION",
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
