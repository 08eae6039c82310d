"""What each ingredient of the simulated scans is worth on real ones.

    MRI_REAL_DATA=... python -m pipeline.ablation [--only fat head] [--seeds 0 1 2]

Trains on simulated scans that lack an ingredient, once a seed, and judges real scans.
What is finished is kept, so the same command goes on. Real scans are only measured.
"""

import dataclasses
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.command import run_command
from pipeline.files import write_json
from pipeline.judging import (
    RealScan,
    accepted_scans,
    identity_of,
    judge,
    losses,
    refuse_other,
)
from pipeline.phantom import SCANS_PER_SUBJECT
from pipeline.phantom.ingredients import INGREDIENTS
from pipeline.processes import must_run
from pipeline.shards.planning import phantom_code

ALL: Final = "all"
"""The row from which nothing is left out."""

RESAMPLES: Final = 2000

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class AblationConfig:
    """Measures what each ingredient is worth.

    Attributes:
        real: Labelled real scans; the environment's MRI_REAL_DATA if not given.
        out: Folder for runs, scores and the table.
        only: Rows to train: names of ingredients, several joined by `+`; all if none.
        seeds: A training each, on scans of that seed.
        subjects: Simulated heads a training; 13 scans each.
        epochs: Of each training.
        preset: Its other settings.
    """

    real: Path | None = None
    out: Path = Path("runs/ablation")
    only: tuple[str, ...] = INGREDIENTS
    seeds: tuple[int, ...] = (0, 1, 2)
    subjects: int = 40
    epochs: int = 4
    preset: str = "small"

    def __post_init__(self) -> None:
        for row in self.only:
            unknown = set(row.split("+")) - set(INGREDIENTS)
            if unknown:
                raise ValueError(
                    f"{', '.join(sorted(unknown))} cannot be left out; there are "
                    f"{', '.join(INGREDIENTS)}"
                )

    @property
    def rows(self) -> tuple[str, ...]:
        """All rows of the table; the whole phantom comes first."""
        return (ALL, *self.only)


def ablate(config: AblationConfig) -> None:
    """Trains and judges what is missing, then writes and prints the table.

    Raises:
        ValueError: No real scans are named, what is stored is of other settings, or a
            training failed.
        KeyboardInterrupt: It was told to stop; the training saved where it stood.
    """
    scans = list(accepted_scans(_real(config)))
    stored = [_score_file(config, row, seed) for row, seed in _trainings(config)]
    for path in filter(Path.is_file, stored):
        _load(config, path)  # refuses before anything is trained
    for row, seed in _trainings(config):
        if not _score_file(config, row, seed).is_file():
            _train(config, row, seed)
            _judge(config, row, seed, scans)
    lines = table(config, scans)
    (config.out / "ablation.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _trainings(config: AblationConfig) -> Iterator[tuple[str, int]]:
    """All rows of a seed first: a table is there early."""
    yield from ((row, seed) for seed in config.seeds for row in config.rows)


def _real(config: AblationConfig) -> Path:
    real = config.real or os.environ.get("MRI_REAL_DATA")
    if not real:
        raise ValueError("name real scans to judge: --real FOLDER, or MRI_REAL_DATA")
    return Path(real)


def settings_of(config: AblationConfig) -> dict[str, Any]:
    """What a stored score must be of, to stand in the table."""
    return {
        "subjects": config.subjects,
        "epochs": config.epochs,
        "preset": config.preset,
        "phantom code": phantom_code(),
        "set of real scans": identity_of(_real(config)),
    }


def _load(config: AblationConfig, path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    remedy = (
        f"give the same settings to go on, name another --out, or delete {path.parent} "
        "to train again"
    )
    refuse_other(path, content.get("settings", {}), settings_of(config), remedy)
    return content


def _folder(config: AblationConfig, row: str, seed: int) -> Path:
    return config.out / f"{row}-{seed}"


def _score_file(config: AblationConfig, row: str, seed: int) -> Path:
    return _folder(config, row, seed) / "real.json"


def _train(config: AblationConfig, row: str, seed: int) -> None:
    """Simulates and trains, each in a process of its own; keeps no shards."""
    run = _folder(config, row, seed)
    shards = run / "shards"
    _log.info(
        "training without %s, seed %d", "anything left out" if row == ALL else row, seed
    )
    without = [] if row == ALL else ["--without", *row.split("+")]
    commands = (
        ["pipeline.shards", "--phantom", config.subjects, "--seed", seed,
         "--test", 0, "--out", shards, *without],
        ["pipeline.train", "--preset", config.preset, "--shards", shards,
         "--run", run, "--seed", seed, "--epochs", config.epochs],
    )  # fmt: skip
    for command in commands:
        must_run(*command)
    shutil.rmtree(shards)


def _judge(
    config: AblationConfig, row: str, seed: int, scans: Sequence[RealScan]
) -> None:
    """Stores what the network says of each scan, and what it learned from."""
    from pipeline.answering import of_run
    from pipeline.runs import load_run

    folder = _folder(config, row, seed)
    data = json.loads((folder / "config.json").read_text())["data"]
    content = {
        "settings": settings_of(config),
        "slices": sum(data["slices"]["train"].values()),
        "scans": judge(of_run(load_run(folder)), scans),
    }
    write_json(_score_file(config, row, seed), content)


def table(config: AblationConfig, scans: Sequence[RealScan]) -> list[str]:
    """The table as Markdown, worst loss first.

    A row's figures are means over the seeds and over T1, T2 and FLAIR; intervals are
    percentiles of a bootstrap that draws people and seeds anew (2 000 times).

    Args:
        config: Of the trainings, all finished.
        scans: What they were judged on.

    Raises:
        ValueError: What is stored is of other settings.
    """
    scores = {row: _scores(config, row, scans) for row in config.rows}
    draws = list(_draws(scans, len(config.seeds)))
    lines = [
        _budget(config, scans),
        "",
        "| left out | slices right | change | scans right | loss of scans |",
        "|---|---|---|---|---|",
    ]
    whole = scores[ALL]
    changes = {row: _mean(scores[row], scans)[0] for row in config.rows}
    for row in sorted(config.rows, key=lambda row: (row != ALL, changes[row])):
        slices, right, loss = _mean(scores[row], scans)
        change = "" if row == ALL else _interval(scores[row] - whole, scans, draws)
        lines.append(
            f"| {'nothing' if row == ALL else row} | {slices:.1%} | {change} | "
            f"{right:.1%} | {loss:.3f} |"
        )
    return lines


def _budget(config: AblationConfig, scans: Sequence[RealScan]) -> str:
    learned = [
        _load(config, _score_file(config, row, seed))["slices"]
        for row, seed in _trainings(config)
    ]
    return (
        f"Each training: {config.subjects} simulated heads, "
        f"{config.subjects * SCANS_PER_SUBJECT} scans, {min(learned)} to "
        f"{max(learned)} training slices, {config.epochs} epochs, preset "
        f"{config.preset}; seeds "
        f"{', '.join(map(str, config.seeds))}. Judged on {len(scans)} real scans of "
        f"{len({scan.subject for scan in scans})} people; a scan is right where its "
        "class is the likeliest. Intervals are of 95 %, people and seeds drawn."
    )


def _scores(
    config: AblationConfig, row: str, scans: Sequence[RealScan]
) -> NDArray[np.float64]:
    """(seeds, scans, 3): share of right slices, scan right, its log-loss."""
    found = []
    for seed in config.seeds:
        content = _load(config, _score_file(config, row, seed))["scans"]
        each = np.array([content[scan.name] for scan in scans], dtype=float)
        found.append(np.stack([each[:, 0], each[:, 2], losses(each[:, 1])], 1))
    return np.stack(found)


def _mean(
    scores: NDArray[np.float64], scans: Sequence[RealScan]
) -> NDArray[np.float64]:
    """(3,): over seeds and scans, then over the classes that occur."""
    truth = np.array([scan.contrast for scan in scans])
    each = scores.mean(0)
    return np.mean([each[truth == name].mean(0) for name in sorted(set(truth))], axis=0)


def _draws(
    scans: Sequence[RealScan], seeds: int
) -> Iterator[tuple[NDArray[np.intp], list[int]]]:
    rng = np.random.default_rng(0)
    people = sorted({scan.subject for scan in scans})
    rows = {
        person: [i for i, scan in enumerate(scans) if scan.subject == person]
        for person in people
    }
    for _ in range(RESAMPLES):
        chosen = rng.choice(len(people), len(people))
        yield (
            rng.integers(seeds, size=seeds),
            [row for index in chosen for row in rows[people[index]]],
        )


def _interval(
    difference: NDArray[np.float64],
    scans: Sequence[RealScan],
    draws: Sequence[tuple[NDArray[np.intp], list[int]]],
) -> str:
    """Change of the share of right slices with its 95 % interval, in points."""
    means = [
        100 * _mean(difference[seeds][:, rows], [scans[row] for row in rows])[0]
        for seeds, rows in draws
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{100 * _mean(difference, scans)[0]:+.1f} ({low:+.1f} to {high:+.1f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        AblationConfig,
        ablate,
        prog="python -m pipeline.ablation",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
