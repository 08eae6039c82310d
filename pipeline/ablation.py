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
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mri_contrast.errors import UnreadableScan
from mri_contrast.slices import cut
from pipeline.command import run_command
from pipeline.contrasts import ACCEPTED
from pipeline.files import write_json
from pipeline.phantom.ingredients import INGREDIENTS

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
    """

    real: Path | None = None
    out: Path = Path("runs/ablation")
    only: tuple[str, ...] = INGREDIENTS
    seeds: tuple[int, ...] = (0, 1, 2)
    subjects: int = 40
    epochs: int = 5

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


@dataclasses.dataclass(frozen=True, slots=True)
class RealScan:
    """A real scan, cut.

    Attributes:
        name: In the manifest. contrast: Its class. subject: The person.
        slices: (n, 150, 150) uint8.
    """

    name: str
    contrast: str
    subject: str
    slices: NDArray[np.uint8]


def ablate(config: AblationConfig) -> None:
    """Trains and judges what is missing, then writes and prints the table."""
    scans = list(_real_scans(config))
    for seed in config.seeds:  # all rows of a seed first: a table is there early
        for row in config.rows:
            if not _score_file(config, row, seed).is_file():
                _train(config, row, seed)
                write_json(
                    _score_file(config, row, seed), _judge(config, row, seed, scans)
                )
    lines = table(config, scans)
    (config.out / "ablation.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _real_scans(config: AblationConfig) -> Iterator[RealScan]:
    from pipeline.evaluate import real_scans

    real = config.real or os.environ.get("MRI_REAL_DATA")
    if not real:
        raise ValueError("name real scans to judge: --real FOLDER, or MRI_REAL_DATA")
    for scan in real_scans(Path(real)):
        if scan.contrast not in ACCEPTED:
            continue
        try:
            slices = cut(scan.read())
        except UnreadableScan:
            continue
        yield RealScan(scan.name, scan.contrast, scan.subject, slices)


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
        ["pipeline.train", "--shards", shards, "--run", run, "--seed", seed,
         "--epochs", config.epochs],
    )  # fmt: skip
    for command in commands:
        subprocess.run([sys.executable, "-m", *map(str, command)], check=True)
    shutil.rmtree(shards)


def _judge(
    config: AblationConfig, row: str, seed: int, scans: Sequence[RealScan]
) -> dict[str, Any]:
    """For each scan: share of right slices, and the truth's probability by all."""
    from pipeline import scoring
    from pipeline.runs import load_run

    run = load_run(_folder(config, row, seed))
    forward = scoring.forward_pass(run.model)
    found = {}
    for scan in scans:
        logits = forward(scan.slices).numpy()
        verdict = scoring.verdict_of(logits, run.classes, run.calibration)
        truth = run.classes.index(scan.contrast)
        found[scan.name] = [
            float((logits.argmax(1) == truth).mean()),
            verdict.probabilities[scan.contrast],
        ]
    return found


def table(config: AblationConfig, scans: Sequence[RealScan]) -> list[str]:
    """The table as Markdown, worst loss first.

    A row's figures are means over the seeds and over T1, T2 and FLAIR; intervals are
    percentiles of a bootstrap that draws people and seeds anew (2 000 times).

    Args:
        config: Of the trainings, all finished.
        scans: What they were judged on.
    """
    scores = {row: _scores(config, row, scans) for row in config.rows}
    draws = list(_draws(scans, len(config.seeds)))
    lines = [
        "| left out | slices right | change | scans right | loss of scans |\n"
        "|---|---|---|---|---|"
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


def _scores(
    config: AblationConfig, row: str, scans: Sequence[RealScan]
) -> NDArray[np.float64]:
    """(seeds, scans, 3): share of right slices, scan right, its log-loss."""
    found = []
    for seed in config.seeds:
        content = json.loads(_score_file(config, row, seed).read_text())
        pairs = np.array([content[scan.name] for scan in scans])
        loss = -np.log(pairs[:, 1].clip(1e-6))
        found.append(np.stack([pairs[:, 0], pairs[:, 1] > 0.5, loss], 1))
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


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(AblationConfig, ablate, prog="python -m pipeline.ablation")


if __name__ == "__main__":
    sys.exit(main())
