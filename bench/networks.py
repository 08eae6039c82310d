"""Compares networks and slice sizes at one small budget: how the default was chosen.

    MRI_REAL_DATA=... python -m bench.networks [--only default wide] [--subjects 40]

Every row is trained on the same simulated scans for as many slices. What is finished
stays in the folder, so the same command goes on.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.command import run_command
from pipeline.files import write_json


@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """A network and the size of its slices.

    Attributes:
        what: For people.
        size: Side of the slices in pixels.
        options: Of `pipeline.train`.
    """

    what: str
    size: int = 150
    options: tuple[str, ...] = ()


_WIDE: Final = ("--hyper.filters", "16", "32", "64", "128", "128")
_NARROW: Final = ("--hyper.filters", "8", "16", "32", "48", "64")
_DEEP: Final = ("--hyper.filters", "16", "32", "48", "64", "96", "128")

VARIANTS: Final = {
    "narrow": Variant("8 16 32 48 64", options=_NARROW),
    "default": Variant("16 32 48 64 96"),
    "wide": Variant("16 32 64 128 128", options=_WIDE),
    "deep": Variant("16 32 48 64 96 128", options=_DEEP),
    "no-heads": Variant("default without heads", options=("--hyper.no-heads",)),
    "size-128": Variant("default, 128 pixels", 128),
    "size-192": Variant("default, 192 pixels", 192),
}


@dataclasses.dataclass(frozen=True, slots=True)
class NetworksConfig:
    """Compares networks.

    Attributes:
        out: Folder for shards, runs and the table.
        only: Rows to train; all if none.
        subjects: Simulated heads.
        epochs: Of each training.
        seed: Of scans and weights.
    """

    out: Path = Path("runs/networks")
    only: tuple[str, ...] = tuple(VARIANTS)
    subjects: int = 40
    epochs: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.only if name not in VARIANTS]
        if unknown:
            raise ValueError(
                f"there is no network {', '.join(unknown)}; there are "
                f"{', '.join(VARIANTS)}"
            )


def compare(config: NetworksConfig) -> None:
    """Trains and judges what is missing; writes and prints the table."""
    for name in config.only:
        if not _judged(config, name).is_file():
            _train(config, name)
            _sized(VARIANTS[name].size, "bench.networks", "judge", _run(config, name))
    lines = _table(config)
    (config.out / "networks.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _run(config: NetworksConfig, name: str) -> Path:
    return config.out / name


def _judged(config: NetworksConfig, name: str) -> Path:
    return _run(config, name) / "judged.json"


def _sized(size: int, module: str, *words: object) -> None:
    command = [sys.executable, "-m", "bench.sized", size, module, *words]
    subprocess.run(list(map(str, command)), check=True)


def _train(config: NetworksConfig, name: str) -> None:
    variant = VARIANTS[name]
    shards = config.out / f"shards-{variant.size}"
    _sized(
        variant.size, "pipeline.shards", "--phantom", config.subjects,
        "--seed", config.seed, "--validation", 0.2, "--test", 0, "--workers", 1,
        "--out", shards,
    )  # fmt: skip
    _sized(
        variant.size, "pipeline.train", "--shards", shards, "--run",
        _run(config, name), "--epochs", config.epochs, "--seed", config.seed,
        *variant.options,
    )  # fmt: skip


def judge(run_path: Path) -> None:
    """Measures a finished run: validation, real scans, time of a slice."""
    from pipeline import scoring
    from pipeline.dataset import evaluation_batches
    from pipeline.evaluate.reliability import calibration_error
    from pipeline.runs import load_run

    run = load_run(run_path)
    scores = scoring.score(
        run.model, evaluation_batches(run.shards, "validation", batch_size=256)
    )
    logs = scoring.log_softmax(scores.logits, run.calibration.temperature)
    truth = logs[np.arange(len(logs)), scores.labels]
    right = logs.argmax(1) == scores.labels
    write_json(
        run_path / "judged.json",
        {
            "parameters": run.model.count_params(),
            "loss": float(-truth.mean()),
            "accuracy": float(right.mean()),
            "ece": calibration_error(np.exp(logs.max(1)), right),
            "milliseconds": _milliseconds(scoring.forward_pass(run.model)),
            "real": _real_loss(run),
        },
    )


def _milliseconds(forward: Any) -> float:
    """Median time of one slice, 24 at a time, in milliseconds."""
    from mri_contrast.slices import SIZE

    slices = np.zeros((24, SIZE, SIZE), np.uint8)
    times = []
    for _ in range(30):
        start = time.perf_counter()
        forward(slices).numpy()
        times.append(time.perf_counter() - start)
    return float(np.median(times[5:])) / len(slices) * 1000


def _real_loss(run: Any) -> float | None:
    """Mean over classes of the loss of real scans; None where there are none."""
    from mri_contrast.errors import UnreadableScan
    from mri_contrast.slices import cut
    from pipeline import scoring
    from pipeline.contrasts import ACCEPTED
    from pipeline.evaluate import real_scans

    folder = os.environ.get("MRI_REAL_DATA")
    if not folder:
        return None
    forward = scoring.forward_pass(run.model)
    losses: dict[str, list[float]] = {name: [] for name in ACCEPTED}
    for scan in real_scans(Path(folder)):
        if scan.contrast not in ACCEPTED:
            continue
        try:
            slices = cut(scan.read())
        except UnreadableScan:
            continue
        verdict = scoring.verdict_of(
            forward(slices).numpy(), run.classes, run.calibration
        )
        losses[scan.contrast].append(-np.log(verdict.probabilities[scan.contrast]))
    return float(np.mean([np.mean(each) for each in losses.values() if each]))


def _table(config: NetworksConfig) -> list[str]:
    lines = [
        "| network | parameters | ms a slice | validation loss | right | ECE | "
        "loss of real scans |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in config.only:
        found = json.loads(_judged(config, name).read_text())
        real = "" if found["real"] is None else f"{found['real']:.3f}"
        lines.append(
            f"| {name}: {VARIANTS[name].what} | {found['parameters']} | "
            f"{found['milliseconds']:.2f} | {found['loss']:.4f} | "
            f"{found['accuracy']:.1%} | {found['ece']:.3f} | {real} |"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command, or judges the run that it is told."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["judge"]:
        judge(Path(given[1]))
        return 0
    return run_command(
        NetworksConfig, compare, prog="python -m bench.networks", arguments=given
    )


if __name__ == "__main__":
    sys.exit(main())
