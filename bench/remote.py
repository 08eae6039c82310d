"""A contestant in another process, under an interpreter of its own."""

import contextlib
import json
import select
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from bench.timing import Turn

PATIENCE: Final = 120.0
"""Seconds beyond a turn until a peer counts as stuck: it may have to import PyTorch."""

GRACE: Final = 10.0
"""Seconds that a peer has to end its own worker processes."""

CHECKOUT: Final = Path(__file__).parent.parent


class PeerError(RuntimeError):
    """A peer could not be measured; the message says why."""


class Remote:
    """A peer's process that takes turns when asked; `started` makes one."""

    def __init__(
        self, name: str, process: subprocess.Popen[str], noise: IO[str]
    ) -> None:
        """Speaks to a process.

        Args:
            name: The peer's.
            process: `python -m bench.peers.serve`.
            noise: Where its standard error goes.
        """
        self._name, self._process, self._noise = name, process, noise

    def turn(self, seconds: float, *, batch: int, workers: int) -> Turn:
        """Lets the peer take a turn.

        Raises:
            PeerError: It raised, ended or does not answer.
        """
        asked = {"seconds": seconds, "batch": batch, "workers": workers}
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with contextlib.suppress(BrokenPipeError):  # The empty answer says why.
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
        if not select.select([stdout], [], [], 2 * seconds + PATIENCE)[0]:
            raise PeerError(
                f"{self._name} gave no answer in {2 * seconds + PATIENCE:.0f} s"
            )
        line = stdout.readline()
        if not line:
            raise PeerError(f"{self._name} ended: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self._name}: {answer['error']}")
        return Turn(answer["rate"])

    def _last_words(self) -> str:
        self._process.wait(PATIENCE)
        self._noise.seek(0)
        lines = [line for line in self._noise.read().splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self._process.returncode}"


@contextlib.contextmanager
def started(python: Path, name: str, folder: Path) -> Iterator[Remote]:
    """Starts `python -m bench.peers.serve` and ends it afterwards.

    Args:
        python: Interpreter that has the peer.
        name: One of `bench.peers.loaders.LOADERS`.
        folder: Its data.

    Raises:
        PeerError: There is no such interpreter.
    """
    if not python.is_file():
        raise PeerError(f"{python} is missing: `make peers` builds it")
    with (
        tempfile.TemporaryFile("w+") as noise,
        subprocess.Popen(
            # Not resolved: the link tells an interpreter its environment.
            [python.absolute(), "-m", "bench.peers.serve", name, folder.absolute()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            text=True,
            cwd=CHECKOUT,
        ) as process,
    ):
        try:
            yield Remote(name, process, noise)
        finally:
            with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
                process.communicate(timeout=GRACE)
            process.kill()
