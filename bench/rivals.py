"""The peers that take part, each with the number of workers that suits it best."""

import contextlib
import dataclasses
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.material import Material
from bench.remote import CHECKOUT, PeerError, Remote, started
from bench.timing import Contestant, Effort, side_by_side

PYTHON: Final = Path(".venv-peers/bin/python")

OF_RECORDS: Final = ("grain", "webdataset")
OF_FILES: Final = ("torch_png",)
WORKERS: Final = (0, 1, 2)
"""Processes that are tried; the machine that the goals are for has two cores."""

TRIAL_SECONDS: Final = 1.0
TRIALS: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Rivals:
    """Who takes part and who cannot.

    Attributes:
        contestants: By name.
        workers: The best number of processes of each.
        reasons: Why the others cannot, by name.
    """

    contestants: Mapping[str, Contestant]
    workers: Mapping[str, int]
    reasons: Mapping[str, str]


def start(
    material: Material,
    batch: int,
    python: Path,
    stack: contextlib.ExitStack,
    *,
    trial: float = TRIAL_SECONDS,
) -> Rivals:
    """Starts every peer; whoever fails is left out with the reason.

    Args:
        material: Its slices.
        batch: Slices a batch.
        python: Interpreter that has the peers.
        stack: Ends their processes.
        trial: Seconds of a turn that tries a number of workers.
    """
    contestants: dict[str, Contestant] = {}
    workers: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for name in OF_RECORDS + OF_FILES:
        try:
            if name in OF_RECORDS:
                _pack(python, material.forms.folder)
            data = material.forms.folder if name in OF_RECORDS else material.png
            remote = stack.enter_context(started(python, name, data))
            workers[name] = _best(remote, batch, trial)
        except PeerError as failure:
            reasons[name] = str(failure)
        else:
            contestants[name] = _contestant(remote, batch, workers[name])
    return Rivals(contestants, workers, reasons)


def _contestant(remote: Remote, batch: int, workers: int) -> Contestant:
    return lambda seconds: remote.turn(seconds, batch=batch, workers=workers)


def _best(remote: Remote, batch: int, seconds: float) -> int:
    """Tries each number of workers; a single turn could meet a busy machine."""
    tried = {str(n): _contestant(remote, batch, n) for n in WORKERS}
    rates = side_by_side(tried, Effort(seconds, TRIALS))
    return int(max(tried, key=rates.__getitem__))


def _pack(python: Path, folder: Path) -> None:
    """Writes the peers' own formats, with their own writers."""
    if not python.is_file():
        raise PeerError(f"{python} is missing: `make peers` builds it")
    done = subprocess.run(
        [python.absolute(), "-m", "bench.peers.pack", folder.absolute()],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise PeerError(f"packing for it failed: {lines[-1]}")
