"""Traces real training steps: `python -m bench.profile`.

The trace holds the step's operations on every thread and what the input does
meanwhile. TensorBoard shows it where its profiler is installed, as in `.venv-peers`;
from there also comes `trace.json.gz`, which https://ui.perfetto.dev opens.
"""

import dataclasses
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from bench import ours, rivals
from bench.material import prepare
from bench.remote import CHECKOUT
from pipeline.command import run_command

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class ProfileConfig:
    """Traces training steps.

    Attributes:
        shards: What to train on; simulated slices, made once, where it is not given.
        out: Folder of the traces; each run adds one.
        material: Folder for the simulated slices.
        steps: Steps to trace.
        warm_up: Steps before, which compile and fill the buffers.
        peers: Interpreter that has TensorBoard's profiler; `make peers` builds it.
    """

    shards: Path | None = None
    out: Path = Path("runs/profile")
    material: Path = Path("data/bench")
    steps: int = 20
    warm_up: int = 5
    peers: Path = rivals.PYTHON

    def __post_init__(self) -> None:
        for name in ("steps", "warm_up"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )


def trace(config: ProfileConfig) -> Path:
    """Trains for some steps, the last of them traced; returns the trace's folder."""
    shards = config.shards
    if shards is None:
        shards = prepare(config.material, slices=4096, subjects=6).shards
    training = ours.training(steps=config.warm_up + config.steps)
    batches = iter(ours.batches(shards))
    for _ in range(config.warm_up):
        training.learn(next(batches))
    start = time.perf_counter()
    with tf.profiler.experimental.Profile(str(config.out)):
        for number in range(config.steps):
            # TensorBoard counts what lies within as one step.
            with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
                training.learn(next(batches))
    elapsed = time.perf_counter() - start
    _log.info("%.0f slices/s while traced", config.steps * ours.BATCH / elapsed)
    return max((config.out / "plugins" / "profile").iterdir())


def work(config: ProfileConfig) -> None:
    """Writes a trace and says how to open it.

    Raises:
        OSError: There is no trace.
    """
    folder = trace(config)
    if not list(folder.glob("*.xplane.pb")):
        raise OSError(f"{folder} holds no trace; is another profiler running?")
    _log.info("trace of %d steps: %s", config.steps, folder)
    if config.peers.is_file():
        _convert(config.peers, folder)
    else:
        _log.warning("%s is missing: `make peers` builds it", config.peers)
    _log.info(
        "next: %s --logdir %s, then http://localhost:6006/#profile",
        config.peers.with_name("tensorboard"),
        config.out,
    )


def _convert(python: Path, folder: Path) -> None:
    """Writes `trace.json.gz`; without the profiler, says why there is none."""
    done = subprocess.run(
        [python.absolute(), "-m", "bench.peers.trace", folder.absolute()],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )
    if done.returncode:
        _log.warning("no trace.json.gz: %s", done.stderr.strip().splitlines()[-1])
    else:
        out = folder / "trace.json.gz"
        _log.info("the same for https://ui.perfetto.dev: %s", out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        ProfileConfig, work, prog="python -m bench.profile", arguments=arguments
    )


if __name__ == "__main__":
    sys.exit(main())
