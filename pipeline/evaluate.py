"""Measures a run: every example of a split once, and real scans where there are any.

    python -m pipeline.evaluate --run RUN [--shards SHARDS] [--real FOLDER]

Prints loss and accuracy, writes `evaluation.json` into the run.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn import metrics

from mri_contrast.errors import UnreadableScan
from mri_contrast.slices import cut
from mri_contrast.verdict import UNSURE, Verdict
from pipeline import scoring
from pipeline.command import run_command
from pipeline.contrasts import ACCEPTED
from pipeline.dataset import evaluation_batches, explained_damage
from pipeline.files import write_json
from pipeline.labelled import LabelledScan
from pipeline.progress import progress
from pipeline.runs import Run, load_run, newest_run
from pipeline.sources import find_scans


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """Measures a run.

    Attributes:
        run: The run; the newest finished one if not given.
        shards: Shards of the split; those that the run was trained on if not given.
        split: Which split: `test` or `validation`.
        real: Labelled real scans: folder, CSV file, or a folder with `manifest.csv`.
            The environment's MRI_REAL_DATA if not given; they are only measured.
        batch_size: Slices at a time.
    """

    run: Path | None = None
    shards: Path | None = None
    split: str = "test"
    real: Path | None = None
    batch_size: int = 256

    def __post_init__(self) -> None:
        if self.split not in ("validation", "test"):
            raise ValueError(
                f"split must be validation or test, got {self.split!r}; on training "
                "slices every network looks good"
            )
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """The truth about scans, and what was said of them.

    Attributes:
        truth: Class of each scan.
        said: Verdict on each scan.
        sources: Where each scan comes from.
    """

    truth: list[str]
    said: list[Verdict]
    sources: list[str]


def evaluate(config: EvaluateConfig) -> None:
    """Measures, prints and writes `evaluation.json`."""
    run = load_run(config.run or newest_run())
    shards = config.shards or run.shards
    with explained_damage(shards):
        scores = scoring.score(
            run.model,
            evaluation_batches(shards, config.split, batch_size=config.batch_size),
        )
    result: dict[str, Any] = {
        "split": config.split,
        "slices": slice_metrics(scores, run),
        "volumes": volume_metrics(_judge_split(scores, run), run.classes),
    }
    real = config.real or os.environ.get("MRI_REAL_DATA")
    if real:
        judged, refused = judge_files(Path(real), run)
        result["real"] = volume_metrics(judged, run.classes) | {"refused": refused}
    write_json(run.path / "evaluation.json", result)
    _print(result, run)


def slice_metrics(scores: scoring.Scores, run: Run) -> dict[str, Any]:
    """Count, loss and accuracy of single slices, with the temperature applied."""
    logs = scoring.log_softmax(scores.logits, run.calibration.temperature)
    truth = logs[np.arange(len(scores.labels)), scores.labels]
    return {
        "count": len(scores.labels),
        "loss": float(-truth.mean()),
        "accuracy": float((logs.argmax(axis=1) == scores.labels).mean()),
    }


def _judge_split(scores: scoring.Scores, run: Run) -> Judged:
    rows = list(scoring.by_scan(scores).values())
    return Judged(
        truth=[run.classes[scores.labels[members[0]]] for members in rows],
        said=[
            scoring.verdict_of(scores.logits[members], run.classes, run.calibration)
            for members in rows
        ],
        sources=[str(scores.sources[members[0]]) for members in rows],
    )


def real_scans(root: Path) -> list[LabelledScan]:
    """Lists labelled real scans: a folder's `manifest.csv` goes before its layout."""
    listed = root / "manifest.csv"
    return find_scans(listed if listed.is_file() else root, required=())


def judge_files(root: Path, run: Run) -> tuple[Judged, int]:
    """Identifies every labelled scan of a folder or CSV file.

    Args:
        root: As `real_scans` takes it.
        run: The network that answers.

    Returns:
        What was said, and how many scans gave no slices.

    Raises:
        ValueError: None gave any.
    """
    scans = real_scans(root)
    forward = scoring.forward_pass(run.model)
    judged, refused = Judged([], [], []), 0
    with progress("real scans", len(scans), "scans") as advance:
        for scan in scans:
            advance()
            try:
                slices = cut(scan.read())
            except UnreadableScan:
                refused += 1
                continue
            logits = forward(slices).numpy()
            judged.truth.append(scan.contrast)
            judged.said.append(scoring.verdict_of(logits, run.classes, run.calibration))
            judged.sources.append(scan.source)
    if not judged.said:
        raise ValueError(f"none of the {len(scans)} scans in {root} could be read")
    return judged, refused


def volume_metrics(judged: Judged, classes: Sequence[str]) -> dict[str, Any]:
    """What can be said of verdicts on whole scans.

    Args:
        judged: Truth and verdicts, of one scan or more.
        classes: The model's classes, in order.

    Returns:
        `accuracy` is the likeliest class's, `unsure` aside, `mean_accuracy` its mean
        over T1, T2 and FLAIR, `mean_verdict_accuracy` the same of the verdicts, an
        `unsure` counting as wrong; both are None where there is no such scan.
        `coverage` is the share accepted, `accepted_accuracy` the accuracy among those.
        `confusion` counts verdicts (columns, `unsure` last) by true class (rows);
        `sources` right likeliest classes and all, by source.
    """
    likeliest = [
        max(verdict.probabilities, key=verdict.probabilities.__getitem__)
        for verdict in judged.said
    ]
    truth, verdicts = np.array(judged.truth), [v.contrast for v in judged.said]
    right, verdict_right = np.array(likeliest) == truth, np.array(verdicts) == truth
    accepted = np.array(verdicts) != UNSURE
    confusion = metrics.confusion_matrix(truth, verdicts, labels=[*classes, UNSURE])
    sources = np.array(judged.sources)
    return {
        "count": len(right),
        "accuracy": float(right.mean()),
        "mean_accuracy": _mean_over_classes(right, truth),
        "mean_verdict_accuracy": _mean_over_classes(verdict_right, truth),
        "coverage": float(accepted.mean()),
        "accepted_accuracy": float(right[accepted].mean()) if accepted.any() else None,
        "confusion": confusion[: len(classes)].tolist(),
        "sources": {
            name: [int(right[sources == name].sum()), int((sources == name).sum())]
            for name in sorted(set(judged.sources))
        },
    }


def _mean_over_classes(
    right: NDArray[np.bool_], truth: NDArray[np.str_]
) -> float | None:
    """Share of right ones, averaged over those of T1, T2 and FLAIR that occur."""
    shares = [right[truth == name].mean() for name in ACCEPTED if name in truth]
    return float(np.mean(shares)) if shares else None


def _print(result: dict[str, Any], run: Run) -> None:
    console = Console()
    slices = result["slices"]
    console.print(
        f"{slices['count']} slices of the {result['split']} split: "
        f"loss {slices['loss']:.4f}  accuracy {slices['accuracy']:.4f}"
    )
    _print_volumes(console, result["split"], result, run)
    if "real" in result:
        _print_volumes(console, "real", {"volumes": result["real"]}, run)
        console.print(f"{result['real']['refused']} files gave no slices")
    console.print(f"written: {run.path / 'evaluation.json'}")


def _print_volumes(
    console: Console, title: str, result: dict[str, Any], run: Run
) -> None:
    volumes = result["volumes"]
    table = Table(title=f"{volumes['count']} {title} scans: truth down, verdict across")
    for heading in ("", *run.classes, UNSURE):
        table.add_column(heading, justify="right")
    for name, row in zip(run.classes, volumes["confusion"], strict=True):
        table.add_row(name, *map(str, row))
    console.print(table)
    console.print(
        f"accepted {volumes['coverage']:.1%}, of those right "
        f"{_share(volumes['accepted_accuracy'])}; likeliest class right "
        f"{_share(volumes['accuracy'])}, mean over T1, T2 and FLAIR "
        f"{_share(volumes['mean_accuracy'])} (unsure counted as wrong: "
        f"{_share(volumes['mean_verdict_accuracy'])})"
    )


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(EvaluateConfig, evaluate, prog="python -m pipeline.evaluate")


if __name__ == "__main__":
    sys.exit(main())
