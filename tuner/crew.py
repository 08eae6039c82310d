"""A search by a chief and workers on this machine, each a process of its own.

One that dies is started again under its name, so a worker gets its trial back. Ctrl+C
and SIGTERM stop all of them, with their trials saved; so does the end of this process.
"""

import contextlib
import dataclasses
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final

from pipeline.command import DONE, INTERRUPTED, WRONG_USE
from pipeline.processes import ENDS_WITH_INPUT
from tuner.roles import CHIEF, ORACLE_IP, ORACLE_PORT, TUNER_ID

RESTARTS: Final = 5
"""Of a chief or a worker that dies: whatever kills it that often will do so again."""

_LOOK_SECONDS: Final = 0.2
_LEAVE_SECONDS: Final = 60.0
"""For workers to hear that the search has ended."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class _Member:
    """A chief or a worker.

    Attributes:
        name: By which the oracle knows it.
        command: Starts it.
        environment: Of its process.
        process: The one that was started last.
        starts: How often it was started.
        stopped: The process that was told to stop.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    stopped: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            env=self.environment,
            start_new_session=True,  # a terminal's Ctrl+C would reach it twice
        )
        self.starts += 1

    @property
    def code(self) -> int | None:
        """Of its end; None while it runs."""
        return None if self.process is None else self.process.poll()

    def stop(self, *, again: bool = False) -> None:
        """Lets it save and end; told `again`, it ends without saving."""
        if self.process is not None and (again or self.stopped is not self.process):
            self.stopped = self.process
            self.process.terminate()

    def wait(self, seconds: float | None = None) -> None:
        if self.process is not None:
            self.process.wait(seconds)


def run_crew(workers: int, words: Sequence[str]) -> int:
    """Runs a search to its end by a chief and some workers.

    Args:
        workers: Their number.
        words: Of the command line, the same for all of them.

    Returns:
        0 done, 130 interrupted, 2 where the chief or all workers gave up, as said by
        them.
    """
    shared = {
        ORACLE_IP: "127.0.0.1",
        ORACLE_PORT: str(_free_port()),
        ENDS_WITH_INPUT: "1",
    }
    command = [sys.executable, "-m", "tuner.search", *words]
    names = [CHIEF, *(f"worker-{number}" for number in range(workers))]
    crew = [
        _Member(name, command, {**os.environ, **shared, TUNER_ID: name})
        for name in names
    ]
    with _stops(crew) as told:
        for member in crew:
            member.start()
        try:
            code = _watch(crew, told)
        finally:
            for member in crew:  # those that a signal told save, and are not told again
                member.stop()
            for member in crew:
                member.wait()
    return INTERRUPTED if told else code


def _watch(crew: Sequence[_Member], told: list[int]) -> int:
    """Starts again what dies; returns when the search is over, with its code."""
    chief, *workers = crew
    while not told:
        if chief.code == DONE:
            _let_leave(workers)
            return DONE
        starts = chief.starts
        if not _keep_alive(chief):
            return WRONG_USE
        if chief.starts > starts:  # it waits for workers, also for the last word
            for worker in workers:
                if worker.code == DONE:
                    worker.start()
        useful = [_keep_alive(worker) for worker in workers]
        if not any(useful):
            _log.error("no worker is left; the same command goes on with the search")
            return WRONG_USE
        time.sleep(_LOOK_SECONDS)
    return INTERRUPTED


def _keep_alive(member: _Member) -> bool:
    """Starts a member again where it died; returns whether it is of further use."""
    code = member.code
    if code is None or code == DONE:  # a worker is done a little before the chief
        return True
    if code == WRONG_USE or member.starts > RESTARTS:
        return False
    _log.warning("%s ended with code %d: started again", member.name, code)
    member.start()
    return True


def _let_leave(workers: Sequence[_Member]) -> None:
    end = time.monotonic() + _LEAVE_SECONDS
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(max(end - time.monotonic(), 0))


@contextlib.contextmanager
def _stops(crew: Sequence[_Member]) -> Iterator[list[int]]:
    """Passes each SIGINT and SIGTERM on as a stop; yields those that came."""
    told: list[int] = []

    def tell(number: int, frame: FrameType | None) -> None:
        again = bool(told)
        told.append(number)
        for member in crew:
            member.stop(again=again)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, tell) for number in numbers}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
