"""Trains what is missing of the comparison and writes its table.

    python -m pipeline.experiments --shards SHARDS --test SEALED [--scale 0.1]

Each training is a run and each evaluation a file beside it: killed at any moment, the
same command goes on.
"""

import dataclasses
import json
import logging
import pickle
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from pipeline.command import INTERRUPTED, run_command
from pipeline.devices import Kind
from pipeline.experiments.apart import check_apart
from pipeline.experiments.job import Job, Reading
from pipeline.experiments.measured import Measured
from pipeline.experiments.report import report
from pipeline.experiments.rows import NAMES, ROWS, Row, budgeted
from pipeline.files import locked
from pipeline.judging import refuse_other
from pipeline.manifest import load_manifest
from pipeline.processes import run_apart
from pipeline.provenance import STARTED_BY, command_line
from pipeline.settings import TrainConfig

_STORED: Final = ".test.npz"

_log = logging.getLogger("pipeline.experiments")


@dataclasses.dataclass(frozen=True, slots=True)
class ExperimentsConfig:
    """Compares the study's networks and improvements with ours.

    Attributes:
        test: Shards of other subjects whose split `test` is measured, and nothing else.
        shards: Shards that are learned from and validated on.
        root: Folder of the runs, the evaluations and the table.
        scale: Share of the study's steps and validation steps an epoch; the number of
            epochs stays.
        seeds: Of the trainings, one each.
        only: Names of rows; all where none is given.
        epochs: Of the study's recipe.
        device: As in `pipeline.train`.
    """

    test: Path
    shards: Path = Path("data/shards/phantom")
    root: Path = Path("runs/experiments")
    scale: float = 1.0
    seeds: tuple[int, ...] = (0, 1, 2)
    only: tuple[str, ...] = ()
    epochs: int = 100
    device: Kind = "auto"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.only) - set(NAMES))
        if unknown:
            raise ValueError(
                f"there is no row {', '.join(unknown)}; there are {', '.join(NAMES)}"
            )
        if not 0 < self.scale <= 1:
            raise ValueError(f"scale must be above 0 and at most 1, got {self.scale}")
        if self.epochs < 1 or not self.seeds or min(self.seeds) < 0:
            raise ValueError(
                "epochs must be at least 1, and seeds one number or more from 0 on; "
                f"got {self.epochs} and {self.seeds}"
            )


def experiments(config: ExperimentsConfig) -> int:
    """Trains and measures what is not stored yet, writes and prints the table.

    Returns:
        0, or 130 where it was told to stop.

    Raises:
        FileNotFoundError: Shards are missing.
        ValueError: They lack a split or share subjects, what is stored is of other
            settings, or a training failed.
    """
    load_manifest(config.shards).of_split("validation")
    load_manifest(config.test).of_split("test")
    with locked(config.root / "lock", f"runs the experiments in {config.root}"):
        check_apart(config.shards, config.test, config.root / "apart.json")
        _report(config)  # refuses what is stored of other settings
        failed = []
        for job in _jobs(config):
            if all(reading.path.is_file() for reading in job.readings):
                continue
            _log.info("%s", job.training.run)
            code = _run_apart(job)
            if code == INTERRUPTED:
                _log.warning("interrupted: saved; the same command goes on")
                return INTERRUPTED
            if code:
                failed.append(job.training.run.name)
            _report(config)
        if failed:
            raise ValueError(
                f"these trainings failed, as said above: {', '.join(failed)}; the same "
                "command tries them again, the others are done"
            )
        print(_report(config))
    return 0


def _jobs(config: ExperimentsConfig) -> list[Job]:
    """One a training and seed; all rows that a training serves are read from it."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in ROWS:
        rows[row.training].append(row)
    wanted = {row.training for row in ROWS if row.name in (config.only or NAMES)}
    return [
        _job(config, rows[name], seed)
        for seed in config.seeds
        for name in rows
        if name in wanted
    ]


def _job(config: ExperimentsConfig, rows: list[Row], seed: int) -> Job:
    training = dataclasses.replace(
        budgeted(rows[0].settings, config.scale, config.epochs),
        shards=config.shards,
        run=config.root / f"{rows[0].training}-{seed}",
        seed=seed,
        device=config.device,
    )
    readings = tuple(Reading(_path(config, row, seed), row.patience) for row in rows)
    return Job(training, readings, config.test, _settings(config, training))


def _run_apart(job: Job) -> int:
    return run_apart(
        "pipeline.experiments.job",
        given=pickle.dumps(job),
        environment={STARTED_BY: command_line() or ""},
        quiet=True,  # the networks' summaries, which runs hold
    )


def _path(config: ExperimentsConfig, row: Row, seed: int) -> Path:
    return config.root / f"{row.name}-{seed}{_STORED}"


def _settings(config: ExperimentsConfig, training: TrainConfig) -> dict[str, Any]:
    """What a stored evaluation must be of, to stand in the table."""
    content = json.loads(json.dumps(dataclasses.asdict(training), default=str))
    for name in ("preset", "run", "shards", "checkpoint_seconds", "restart", "device"):
        del content[name]
    return {
        **content,
        "training_shards": load_manifest(config.shards).sha256,
        "test_shards": load_manifest(config.test).sha256,
    }


def _report(config: ExperimentsConfig) -> str:
    """Writes the table of all that is stored, whatever `only` and `seeds` say."""
    everything = dataclasses.replace(config, only=(), seeds=_stored_seeds(config))
    found: dict[str, dict[int, Measured]] = defaultdict(dict)
    for job in _jobs(everything):
        for reading in job.readings:
            if reading.path.is_file():
                name, seed = reading.path.name.removesuffix(_STORED).rsplit("-", 1)
                found[name][int(seed)] = _loaded(reading.path, job)
    if not found:
        return ""
    test = load_manifest(config.test)
    about = {
        "scale": config.scale,
        "epochs": config.epochs,
        "seeds": list(everything.seeds),
        "training_shards": load_manifest(config.shards).sha256,
        "test_shards": test.sha256,
        "test_sealed": bool(test.config.get("sealed")),
    }
    return report(config.root, found, about)


def _stored_seeds(config: ExperimentsConfig) -> tuple[int, ...]:
    """Those that any row is measured with, in order; what was asked for if none is."""
    names = (path.name for path in config.root.glob(f"*{_STORED}"))
    matches = (re.fullmatch(rf"(.+)-(\d+){re.escape(_STORED)}", name) for name in names)
    found = {int(match[2]) for match in matches if match and match[1] in NAMES}
    return tuple(sorted(found)) or config.seeds


def _loaded(path: Path, job: Job) -> Measured:
    measured = Measured.load(path)
    remedy = (
        f"give the same settings to go on, name another --root, or delete it and "
        f"{job.training.run} to train again"
    )
    refuse_other(path, measured.settings, job.settings, remedy)
    return measured


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        ExperimentsConfig, experiments, prog="python -m pipeline.experiments"
    )


if __name__ == "__main__":
    sys.exit(main())
