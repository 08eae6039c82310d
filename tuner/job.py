"""One trial, in a process of its own.

Started by `tuner.tuner`, which writes a pickled `Job` to its input and holds that open:
where the search is killed, the trial ends too. What it found out is in `job.json` of
the run's folder.
"""

import dataclasses
import json
import logging
import pickle
import sys
import time
from pathlib import Path
from typing import Any, Final

from pipeline.command import DONE, WRONG_USE
from pipeline.devices import open_devices
from pipeline.files import write_json
from pipeline.latency import slice_milliseconds
from pipeline.model import build
from pipeline.processes import end_with_parent
from pipeline.scoring import forward_pass
from pipeline.settings import TrainConfig
from pipeline.train import train
from tuner.budget import Budget

REJECTED: Final = 3
"""Exit code of a trial that is over its budget."""

_FILE: Final = "job.json"

_FREE_SECONDS: Final = 60.0
"""A process whose parent was killed ends at once, but on a busy machine not as fast as
the next one starts."""


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """What is to be done.

    Attributes:
        training: Its settings.
        budget: The most that its network may cost.
        measure_only: Do not train.
    """

    training: TrainConfig
    budget: Budget
    measure_only: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What a trial's process found out, as far as it came.

    Attributes:
        milliseconds: A slice takes in use; measured once, before the training.
        memory_mib: Peak of the process, of the largest if there were several.
        message: Why it failed or was rejected.
    """

    milliseconds: float | None = None
    memory_mib: float | None = None
    message: str = ""

    def save(self, run: Path) -> None:
        """Writes it into the run's folder."""
        write_json(run / _FILE, dataclasses.asdict(self))


def load_found(run: Path) -> Found:
    """Reads what the trial of a run found out so far."""
    path = run / _FILE
    return Found(**json.loads(path.read_text())) if path.is_file() else Found()


def work(job: Job) -> int:
    """Measures the network and trains it; returns the exit code."""
    run = job.training.run
    before = load_found(run)
    found = before.milliseconds or _measured(job.training)
    over = job.budget.exceeded_by(milliseconds=found)
    code, message = (REJECTED, over) if over else (DONE, "")
    Found(found, before.memory_mib, message).save(run)
    try:
        if not over and not job.measure_only:
            code = _train_once_free(job.training)
    except (ValueError, OSError) as error:
        code, message = WRONG_USE, " ".join(str(error).split())
    memory = max(peak_memory_mib() or 0, before.memory_mib or 0) or None
    Found(found, memory, message).save(run)
    return code


def _train_once_free(training: TrainConfig) -> int:
    """Trains; first waits for what a worker that was killed left behind to end."""
    end = time.monotonic() + _FREE_SECONDS
    while True:
        try:
            return train(training)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def _measured(training: TrainConfig) -> float:
    """The least of some measurements: others on the machine only add to it."""
    # First: devices cannot be set up any more once something was computed.
    open_devices(training.device, precision=training.precision, xla=training.xla)
    model = build(training.hyper, seed=training.seed)
    return float(slice_milliseconds(forward_pass(model)).min())


def peak_memory_mib() -> float | None:
    """Peak of this process so far; None where the system has no /proc.

    Not `ru_maxrss`: Linux counts into it what the parent had when it started this.
    """
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.is_file() else []
    sizes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(sizes[0]) / 1024 if sizes else None


def _log_as(name: str) -> None:
    """Logs with the trial's name before each line: several may write at a time."""
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s")


def main() -> int:
    """Does the job on standard input and returns its exit code."""
    job: Any = pickle.load(sys.stdin.buffer)
    _log_as(job.training.run.name)
    end_with_parent()
    return work(job)


if __name__ == "__main__":
    sys.exit(main())
