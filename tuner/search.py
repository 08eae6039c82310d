"""Searches for hyper-parameters and names the winner.

    python -m tuner.search --name NAME --shards data/shards/phantom
    python -m tuner.search --name NAME --shards data/shards/phantom --workers 3

    runs/tune/NAME/config.json      what is searched, and on which data
    runs/tune/NAME/trial-0000/      the run of a trial, as `pipeline.train` leaves it
    runs/tune/NAME/trial-0000/trial.json   what became of it
    runs/tune/NAME/oracle/          KerasTuner's state
    runs/tune/NAME/winner.json      the best trial so far, and how to train it again
    runs/tune/NAME/dashboard.html   all of it to look at, renewed after each trial

A search that is started again under its name goes on: of an interrupted one, only the
trials that were running are trained again, from their last checkpoints.
"""

import contextlib
import logging
import pickle
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import tensorflow as tf

from pipeline.command import INTERRUPTED, run_command
from pipeline.files import locked
from pipeline.manifest import Manifest, load_manifest
from pipeline.processes import run_apart
from pipeline.settings import TrainConfig
from pipeline.share import steps_per_epoch
from tuner import hparams, job
from tuner.budget import parameters_of, smallest
from tuner.crew import run_crew
from tuner.roles import Role, role
from tuner.settings import (
    ENDED,
    SearchConfig,
    begin,
    check_same,
    check_shards,
    has_ended,
    note_end,
)
from tuner.tuner import Tuner

__all__ = ["SearchConfig", "search"]

_log = logging.getLogger(__name__)


def search(config: SearchConfig) -> int:
    """Runs trials until the search ends, and leaves `winner.json`.

    Where KerasTuner's variables are set, this process is the chief, which gives trials
    out, or a worker.

    Returns:
        0, or 130 where it was interrupted; the winner so far is kept in both cases.

    Raises:
        BlockingIOError: Another process does the same part of the same search.
        FileNotFoundError: There are no finished shards.
        OSError: A shard cannot be read, or chief and workers do not find each other.
        ValueError: The shards cannot be learnt from, the folder holds another search,
            no network is within the budget, or trial after trial failed.
    """
    mine = role()
    manifest = load_manifest(config.shards)
    manifest.of_split("validation")
    steps_per_epoch(manifest, config.batch_size)
    # It warns of graphs that are traced again and again: each trial has its own.
    tf.get_logger().setLevel(logging.ERROR)
    try:
        with _interrupts():
            if mine.kind == "worker":
                return _work(config, manifest, mine)
            with locked(config.folder / "lock", f"searches {config.folder}"):
                return _lead(config, manifest, mine)
    except KeyboardInterrupt:
        _log.warning("interrupted: start search %s again to go on", config.name)
        return INTERRUPTED


def _lead(config: SearchConfig, manifest: Manifest, mine: Role) -> int:
    """Proposes the trials, and in a single process trains them."""
    check_same(config, manifest)
    check_shards(config.shards, manifest)
    _check_budget(config)
    begin(config, manifest)
    hparams.write_experiment(config.folder, config.space)
    tuner = Tuner(config, manifest, mine)
    if not has_ended(config):
        (config.folder / ENDED).unlink(missing_ok=True)
    tuner.search()
    if tuner.reason:
        raise ValueError(
            f"{tuner.reason}; mend that and start search {config.name} again"
        )
    tuner.record_winner()
    note_end(config)
    tuner.show()
    _log.info(
        "done: %s; next: make winner NAME=%s",
        *(config.folder / "winner.json", config.name),
    )
    return 0


def _work(config: SearchConfig, manifest: Manifest, mine: Role) -> int:
    """Trains what the chief gives out."""
    for handler in logging.getLogger().handlers:  # several write to one screen
        handler.setFormatter(logging.Formatter(f"{mine.name}: %(message)s"))
    if has_ended(config):
        _log.info("search %s has come to its end", config.name)
        return 0
    what = f"is {mine.name} of {config.folder}"
    with locked(config.folder / f"{mine.name}.lock", what):
        tuner = Tuner(config, manifest, mine)
        tuner.oracle.get_space()  # waits for the chief, which records what is searched
        check_same(config, manifest)
        tuner.search()
    return 0


def _check_budget(config: SearchConfig) -> None:
    """Refuses a budget that no network of the space meets.

    Raises:
        ValueError: The smallest does not.
    """
    if any(config.folder.glob("trial-*")):
        return
    base = config.training()
    least = smallest(base.hyper, config.space)
    over = config.budget.exceeded_by(parameters_of(least))
    if not over and config.milliseconds is not None:
        with tempfile.TemporaryDirectory() as folder:
            training = TrainConfig(run=Path(folder), hyper=least)
            work = job.Job(training, config.budget, measure_only=True)
            code = run_apart("tuner.job", given=pickle.dumps(work), quiet=True)
            over = job.load_found(training.run).message
        if code == INTERRUPTED:
            raise KeyboardInterrupt
    if over:
        raise ValueError(
            f"no trial can meet the budget: the smallest network of the space has "
            f"{over}; raise --parameters or --milliseconds, or search a wider space"
        )


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """Lets SIGTERM, which is how machines press Ctrl+C, do what that does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: Any = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def start(config: SearchConfig) -> int:
    """Searches in this process, or by a chief and workers that it starts."""
    if config.workers and role().kind == "single":
        load_manifest(config.shards)  # else each of them would say that it is missing
        return run_crew(config.workers, sys.argv[1:])
    return search(config)


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(SearchConfig, start, prog="python -m tuner.search")


if __name__ == "__main__":
    sys.exit(main())
