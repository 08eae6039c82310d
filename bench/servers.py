"""Servers as processes of their own: ours, and other people's in their environment."""

import contextlib
import dataclasses
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import grpc
import numpy as np
from numpy.typing import NDArray

from bench import asking, ours_host
from bench.asking import Form, Values
from bench.load import in_flight
from bench.remote import CHECKOUT, GRACE, PeerError
from bench.timing import Effort, side_by_side

PYTHON: Final = Path(".venv-servers/bin/python")

TRIALS: Final = 3

PATIENCE: Final = 600.0
"""Seconds until a server that does not answer counts as stuck: it imports TensorFlow,
and the machine may be busy."""

TOLERANCE: Final = 1e-3
"""Of log-probabilities: other batch sizes round differently."""


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """A server that can be started.

    Attributes:
        command: Without port and setting, which are appended.
        settings: Its ways to run that its documentation names.
        form: How it is spoken to.
    """

    command: Sequence[str]
    settings: Sequence[str]
    form: Form


def peers(python: Path) -> dict[str, Host]:
    """Other people's servers under the interpreter that has them."""

    def host(name: str, settings: Sequence[str], form: Form) -> Host:
        program = f"bench.peers.{name}_host"
        return Host([str(python.absolute()), "-m", program], settings, form)

    return {
        "litserve": host("litserve", ("batches", "workers"), asking.litserve),
        "bentoml": host("bentoml", ("batches", "threads"), asking.bentoml),
        "mlserver": host("mlserver", ("batches", "workers"), asking.mlserver),
    }


OURS: Final = Host(
    [sys.executable, "-m", "bench.ours_host"],
    ours_host.settings(),
    asking.tensorflow_serving,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        port: Of this machine.
        setting: How it runs.
        form: How it is spoken to.
    """

    port: int
    setting: str
    form: Form


@contextlib.contextmanager
def started(
    host: Host, setting: str, model: Path, slices: NDArray[np.uint8], expected: Values
) -> Iterator[Running]:
    """Starts a server, waits until it says what is expected, and ends it afterwards.

    Args:
        host: What to start.
        setting: One of its settings.
        model: The SavedModel's folder, a version.
        slices: What it is asked about to see whether it is ready.
        expected: What it has to say.

    Raises:
        PeerError: It does not start, or says something else.
    """
    if not Path(host.command[0]).is_file():
        raise PeerError(f"{host.command[0]} is missing: `make peers` builds it")
    port = free_port()
    with (
        tempfile.TemporaryFile("w+") as noise,
        subprocess.Popen(
            [*host.command, str(port), setting],
            stdin=subprocess.DEVNULL,
            stdout=noise,
            stderr=noise,
            cwd=CHECKOUT,
            env={**os.environ, **_environment(model)},
            start_new_session=True,  # some start processes of their own
        ) as process,
    ):
        try:
            said = _first_answer(host, port, slices, process, noise)
            if said.shape != expected.shape or not np.allclose(
                said, expected, atol=TOLERANCE
            ):
                raise PeerError(
                    f"{host.command[-1]} says something else than the model"
                )
            yield Running(port, setting, host.form)
        finally:
            _end(process)


@contextlib.contextmanager
def fastest(
    host: Host,
    model: Path,
    requests: Sequence[NDArray[np.uint8]],
    expected: Sequence[Values],
    seconds: float,
) -> Iterator[Mapping[int, Running]]:
    """Starts a server in each of its settings and keeps those that suit a request best.

    Args:
        host: What to start.
        model: The SavedModel's folder.
        requests: The slices of each kind of request.
        expected: What is to be said of them.
        seconds: Of each turn that tries a setting.

    Yields:
        For the number of slices of each request, the setting that was fastest.

    Raises:
        PeerError: One of the settings does not run.
    """
    with contextlib.ExitStack() as stack:
        running = {
            setting: stack.enter_context(
                started(host, setting, model, requests[0], expected[0])
            )
            for setting in host.settings
        }
        best = {}
        for slices in requests:
            if len(running) == 1:
                (best[len(slices)],) = running.values()
                continue
            tried = {
                setting: in_flight(each.form(each.port, slices).connect, len(slices))
                for setting, each in running.items()
            }
            try:
                rates = side_by_side(tried, Effort(seconds, TRIALS))
            except (OSError, http.client.HTTPException, grpc.RpcError) as error:
                raise PeerError(
                    f"{host.command[-1]} failed under load: {error}"
                ) from error
            best[len(slices)] = running[max(tried, key=rates.__getitem__)]
        yield best


def _environment(model: Path) -> dict[str, str]:
    return {
        "BENCH_MODEL": str(model.absolute()),
        "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{CHECKOUT / 'serving' / 'client'}",
    }


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _first_answer(
    host: Host,
    port: int,
    slices: NDArray[np.uint8],
    process: subprocess.Popen[bytes],
    noise: IO[str],
) -> Values:
    end = time.monotonic() + PATIENCE
    last = "nothing"
    while time.monotonic() < end:
        if process.poll() is not None:
            noise.seek(0)
            lines = [line for line in noise.read().splitlines() if line.strip()]
            raise PeerError(f"{host.command[-1]} ended: {lines[-1] if lines else ''}")
        try:
            return host.form(port, slices).values()
        except (OSError, http.client.HTTPException, grpc.RpcError) as error:
            last = f"{type(error).__name__}: {error}"
            time.sleep(0.2)
    raise PeerError(f"{host.command[-1]} gave no answer in {PATIENCE:.0f} s: {last}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the server and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
