"""Servers killed, lost, slow or changed: an error or an answer, never a hang."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import mri_contrast
from mri_contrast import Client, MriContrastError, ServerUnavailable, Transport
from tests.client.small_server import SmallServer, ball

ROOT = Path(__file__).parents[2]
HEAD = ball("T1")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Killable:
    """A server in a process of its own."""

    def __init__(self, port: int) -> None:
        command = [sys.executable, "-m", "tests.client.small_server", str(port)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{port}\n"

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def test_a_server_that_is_killed_and_started_again_is_found_again() -> None:
    port = free_port()
    server = Killable(port)
    try:
        with Client(f"localhost:{port}", timeout=20) as client:
            assert client.identify(HEAD).contrast == "T1"
            server.kill()
            start = time.monotonic()
            with pytest.raises(ServerUnavailable):
                client.identify(HEAD)
            assert time.monotonic() - start < 15, "retries, not the whole deadline"
            server = Killable(port)
            client.wait_until_ready(timeout=30)
            assert client.identify(HEAD).contrast == "T1"
    finally:
        server.kill()


def test_a_short_restart_is_bridged_by_retries() -> None:
    with SmallServer() as first, Client(first.target, timeout=30) as client:
        assert client.identify(HEAD).contrast == "T1"
        port = first.port
        first.stop()
        again: list[SmallServer] = []
        timer = threading.Timer(0.2, lambda: again.append(SmallServer(port)))
        timer.start()
        try:
            assert client.identify(HEAD).contrast == "T1"
        finally:
            timer.join()
            again[0].stop()
        assert len(again[0].requests) == 1


@pytest.fixture
def three() -> Iterator[list[SmallServer]]:
    servers = [SmallServer() for _ in range(3)]
    yield servers
    for server in servers:
        server.stop()


def address(servers: list[SmallServer]) -> str:
    return "ipv4:" + ",".join(f"127.0.0.1:{server.port}" for server in servers)


def test_calls_go_round_all_servers(three: list[SmallServer]) -> None:
    with Client(address(three), timeout=30) as client:
        client.identify(HEAD)
        deadline = time.monotonic() + 20  # until all three are connected
        while min(len(s.requests) for s in three) == 0 and time.monotonic() < deadline:
            client.identify(HEAD)
        before = [len(server.requests) for server in three]
        for _ in range(9):
            client.identify(HEAD)
    assert [len(s.requests) - n for s, n in zip(three, before, strict=True)] == [3] * 3


def test_one_of_three_servers_lost_costs_no_answer(three: list[SmallServer]) -> None:
    found: Counter[str] = Counter()
    with Client(address(three), timeout=30) as client:
        for number in range(24):
            if number == 8:
                three[1].stop()
            found[client.identify(HEAD).contrast] += 1
    assert found == {"T1": 24}
    assert len(three[1].requests) < 9


def test_a_server_lost_with_a_call_under_way_costs_no_answer(
    three: list[SmallServer],
) -> None:
    for server in three:
        server.delays = [30]
    answers: list[Any] = []

    with Client(address(three), timeout=30) as client:
        thread = threading.Thread(target=lambda: answers.append(client.identify(HEAD)))
        thread.start()
        deadline = time.monotonic() + 20
        while not any(s.requests for s in three) and time.monotonic() < deadline:
            time.sleep(0.01)
        (busy,) = [server for server in three if server.requests]
        for server in three:
            server.delays = []
        busy._server.stop(0).wait()  # cuts the connection, the call never ends
        thread.join(30)
    assert [answer.contrast for answer in answers] == ["T1"]
    busy.stop()


def test_a_slow_server_is_given_up_at_the_deadline() -> None:
    with SmallServer() as server, Client(server.target, timeout=1) as client:
        server.delays = [60]
        start = time.monotonic()
        with pytest.raises(mri_contrast.DeadlineExceeded, match="more than 1 s"):
            client.identify(HEAD)
        assert 0.9 < time.monotonic() - start < 10
        assert client.identify(HEAD).contrast == "T1", "and asked again with success"


def test_an_address_that_swallows_everything_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:  # accepts, never speaks
        start = time.monotonic()
        with (
            Client(f"127.0.0.1:{hole.getsockname()[1]}", timeout=1) as client,
            pytest.raises((mri_contrast.DeadlineExceeded, ServerUnavailable)),
        ):
            client.identify(HEAD)
        assert time.monotonic() - start < 10


def test_what_is_no_grpc_server_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as web:

        def answer() -> None:
            while True:
                try:
                    with web.accept()[0] as peer:
                        peer.recv(1000)
                        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        with (
            Client(f"127.0.0.1:{web.getsockname()[1]}", timeout=3) as client,
            pytest.raises((ServerUnavailable, mri_contrast.DeadlineExceeded)),
        ):
            client.identify(HEAD)
        web.shutdown(socket.SHUT_RDWR)


def test_a_version_that_vanishes_ends_a_run_with_its_reason() -> None:
    gone = (grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(3)")
    with SmallServer() as server, Client(server.target, version=3) as client:
        results = client.identify_many([HEAD] * 4, ahead=0)
        answer = next(results).answer
        assert answer is not None
        server.fails = [gone]
        with pytest.raises(mri_contrast.ModelNotFound, match=r"version 3: publish"):
            next(results)


def test_each_answer_is_of_one_version_while_another_takes_over() -> None:
    with SmallServer() as server, Client(server.target) as client:
        slots = {name: ball(name) for name in ("T1", "T2", "FLAIR", "other")}
        real = server._says

        def next_version(slices: Any) -> Any:
            server.version += 1
            return real(slices)

        server._says = next_version
        found = client.check_upload(slots)
    versions = [c.answer.model_version for c in found.slots.values() if c.answer]
    assert versions == [7, 7, 8, 8]
    assert found.ok


def test_an_answer_about_other_slices_is_refused() -> None:
    with SmallServer() as server, Client(server.target) as client:
        real = server._says
        server._says = lambda slices: real(slices[:-1])
        with pytest.raises(mri_contrast.RejectedByServer, match="makes no sense"):
            client.identify(HEAD)


def test_the_embedded_server_stopped_and_started_again_is_found_again(
    tmp_path: Path,
) -> None:
    from serving.server.config import ServerConfig
    from serving.server.embedded import EmbeddedServer

    base = ROOT / "serving" / "released" / "mri_contrast"
    if not base.is_dir():
        pytest.skip("no released model in this checkout")
    port = free_port()
    config = ServerConfig(
        port=port,
        rest_api_port=None,
        model_name="mri_contrast",
        model_base_path=base,
        enable_model_warmup=False,
        drain_seconds=1,
    )
    transport = Transport(retries=1)
    with Client(f"localhost:{port}", timeout=60, transport=transport) as client:
        with EmbeddedServer(config):
            client.wait_until_ready(timeout=60)
            first = client.identify(HEAD)
        with pytest.raises(MriContrastError):
            client.identify(HEAD)
        with EmbeddedServer(config):
            client.wait_until_ready(timeout=60)
            assert client.identify(HEAD) == first
