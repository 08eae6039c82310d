"""The server under test: started by its command, reached over its ports."""

import contextlib
import dataclasses
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc
import httpx
from grpc_health.v1 import health_pb2_grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

OWN: Final = (
    f"{sys.executable} -m serving.server "
    "--port={port} --rest_api_port={rest_port} {flags}"
)

PATIENCE: Final = 240.0
"""Seconds for what must come to pass; nothing passes because it took less."""


def until(happened: Callable[[], object], what: str) -> None:
    """Waits for something that only asking again can show."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.05)


def free_ports() -> tuple[int, int]:
    any_port = ("127.0.0.1", 0)
    with socket.create_server(any_port) as one, socket.create_server(any_port) as two:
        return one.getsockname()[1], two.getsockname()[1]


def unlimited(
    target: str, credentials: grpc.ChannelCredentials | None = None
) -> grpc.Channel:
    """A channel that takes messages of any size and tries again quickly."""
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_reconnect_backoff_ms", 200),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if credentials is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, credentials, options)


@dataclasses.dataclass(frozen=True)
class Server:
    """A process and ways to reach it."""

    process: subprocess.Popen[bytes]
    port: int
    rest_port: int
    log: Path
    channel: grpc.Channel
    rest: httpx.Client

    @property
    def predict(self) -> prediction_service_pb2_grpc.PredictionServiceStub:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    @property
    def models(self) -> model_service_pb2_grpc.ModelServiceStub:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    @property
    def health(self) -> health_pb2_grpc.HealthStub:
        return health_pb2_grpc.HealthStub(self.channel)

    def running(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        self.channel.close()
        self.rest.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Launcher:
    """Starts servers, and ends those that are left."""

    def __init__(self, template: str, folder: Path) -> None:
        self._words = shlex.split(template)
        self._folder = folder
        self._servers: list[Server] = []

    def _spawn(self, port: int, rest_port: int, flags: tuple[str, ...], log: Path):
        command: list[str] = []
        for word in self._words:
            if word == "{flags}":
                command.extend(flags)
                continue
            word = word.replace("{port}", str(port))
            command.append(word.replace("{rest_port}", str(rest_port)))
        # As from a shell: other tests of this process may have set it for themselves.
        env = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
        with log.open("wb") as said:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env
            )

    def start(
        self,
        *flags: str,
        rest: bool = True,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> Server:
        """Starts a server and waits until its ports are open.

        Args:
            flags: All but the ports.
            rest: Whether there is a REST port.
            credentials: For a server with TLS.
        """
        port, rest_port = free_ports()
        log = self._folder / f"{port}.log"
        process = self._spawn(port, rest_port if rest else 0, flags, log)
        # By name, not by address: certificates are made out to it.
        host = "localhost" if credentials else "127.0.0.1"
        server = Server(
            process,
            port,
            rest_port,
            log,
            unlimited(f"{host}:{port}", credentials),
            httpx.Client(base_url=f"http://127.0.0.1:{rest_port}", timeout=60),
        )
        self._servers.append(server)

        def up() -> bool:
            if not server.running():
                text = server.said()[-2000:]
                raise AssertionError(f"ended with {process.returncode}:\n{text}")
            return listens(port) and (not rest or listens(rest_port))

        until(up, "a server that opens its ports")
        if not credentials:
            grpc.channel_ready_future(server.channel).result(PATIENCE)
        return server

    def ended(self, *flags: str) -> tuple[int, str]:
        """Runs a server that must not start; returns its exit code and what it said."""
        port, rest_port = free_ports()
        log = self._folder / f"{port}.log"
        process = self._spawn(port, rest_port, flags, log)

        def over() -> bool:
            assert not listens(port), f"serves:\n{log.read_text()[-2000:]}"
            return process.poll() is not None

        try:
            until(over, "an end of the server")
        finally:
            process.kill()
            code = process.wait()
        return code, log.read_text(errors="replace")

    def stop_all(self) -> None:
        for server in self._servers:
            server.process.terminate()
        for server in self._servers:
            server.stop()


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 5):
        return True
    return False
