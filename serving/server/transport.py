"""Where and how the server listens: addresses, TLS, channel arguments, Unix socket."""

import socket
from pathlib import Path
from typing import Final

import grpc

from serving.server.config import ServerConfig, channel_arguments
from serving.server.config_files import SslConfig

_LONGEST_SOCKET_PATH: Final = 107
"""Bytes: what Linux keeps of a Unix socket's path."""

_DEFAULTS: Final[dict[str, int | str]] = {
    # As TF Serving; clients have limits of their own.
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    # Otherwise a second server would share the port without a word.
    "grpc.so_reuseport": 0,
    # gRPC's own server hangs up on clients that ping more often than every 5 minutes,
    # which those behind a load balancer must.
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.min_ping_interval_without_data_ms": 10_000,
}


def server_options(config: ServerConfig) -> list[tuple[str, int | str]]:
    """Returns gRPC's options: our defaults, and over them those of the command line."""
    given = channel_arguments(config.grpc_channel_arguments)
    return list((_DEFAULTS | given).items())


def listen(server: grpc.Server, config: ServerConfig, ssl: SslConfig | None) -> int:
    """Opens the gRPC port and the Unix socket.

    Returns:
        The port; 0 where it is off.

    Raises:
        OSError: One is taken, or the keys are no keys.
    """
    if config.grpc_socket_path is not None:
        _refuse_taken_socket(config.grpc_socket_path)
        _add(
            server,
            f"unix:{config.grpc_socket_path}",
            ssl,
            f"no socket can be made at --grpc_socket_path {config.grpc_socket_path}",
        )
    if config.port is None:
        return 0
    host = f"[{config.host}]" if ":" in config.host else config.host
    return _add(
        server,
        f"{host}:{config.port}",
        ssl,
        f"port {config.port} of {config.host} is taken; stop what uses it or name "
        "another with --port",
    )


def listener(config: ServerConfig) -> socket.socket:
    """Opens the REST port.

    Raises:
        OSError: It is taken.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.rest_api_port), family=family)
    except OSError:
        raise OSError(
            f"port {config.rest_api_port} of {config.host} is taken; stop what uses it "
            "or name another with --rest_api_port"
        ) from None


def credentials(ssl: SslConfig) -> grpc.ServerCredentials:
    """Returns what proves who the server is, and asks clients who they are."""
    return grpc.ssl_server_credentials(
        [(ssl.server_key, ssl.server_cert)],
        root_certificates=ssl.custom_ca or None,
        require_client_auth=ssl.client_verify,
    )


def _add(server: grpc.Server, address: str, ssl: SslConfig | None, refusal: str) -> int:
    try:
        if ssl is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials(ssl)))
    except RuntimeError:
        # gRPC says the same of both.
        keys = " (or key and certificate of --ssl_config_file do not fit)"
        raise OSError(refusal + (keys if ssl else "")) from None


def _refuse_taken_socket(path: Path) -> None:
    """Refuses where somebody listens: gRPC would take the socket away from them."""
    if len(str(path).encode()) > _LONGEST_SOCKET_PATH:
        raise OSError(
            f"--grpc_socket_path is longer than {_LONGEST_SOCKET_PATH} bytes: {path}"
        )
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return
    raise OSError(f"{path} is taken; stop what listens there or name another")
