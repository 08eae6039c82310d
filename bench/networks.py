"""Compares networks and slice sizes at one small budget: how the default was chosen.

    MRI_REAL_DATA=... python -m bench.networks [--only default wide] [--subjects 40]

Every row is trained on the same simulated scans for as many slices. What is finished
stays in the folder, so the same command goes on.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.command import run_command
from pipeline.files import write_json
from pipeline.judging import accepted_scans, identity_of, losses, refuse_other
from pipeline.judging import judge as judge_scans
from pipeline.phantom import SCANS_PER_SUBJECT
from pipeline.processes import must_run
from pipeline.shards.planning import phantom_code

_MEASURED: Final = "measured.json"
"""What the process that judges leaves in the run's folder."""


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
_SYMMETRIC: Final = (
    *("--hyper.symmetric", "--hyper.first-kernel", "4"),
    *("--hyper.filters", "16", "32", "64", "128", "256"),
)
_DEEP: Final = ("--hyper.filters", "16", "32", "48", "64", "96", "128")

VARIANTS: Final = {
    "narrow": Variant("8 16 32 48 64", options=_NARROW),
    "default": Variant("16 32 48 64 96"),
    "wide": Variant("16 32 64 128 128", options=_WIDE),
    "deep": Variant("16 32 48 64 96 128", options=_DEEP),
    "symmetric": Variant("16 32 64 128 256, turned alike", options=_SYMMETRIC),
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


@dataclasses.dataclass(frozen=True, slots=True)
class JudgeConfig:
    """Measures a finished run, in a process whose slices have its size.

    Attributes:
        run: Its folder.
    """

    run: Path


def compare(config: NetworksConfig) -> None:
    """Trains and judges what is missing; writes and prints the table.

    Raises:
        ValueError: What is stored is of other settings, or a training failed.
        KeyboardInterrupt: It was told to stop; the training saved where it stood.
    """
    for name in config.only:
        if _judged(config, name).is_file():
            _load(config, name)  # refuses before anything is trained
    for name in config.only:
        if not _judged(config, name).is_file():
            _train(config, name)
            run, size = _run(config, name), VARIANTS[name].size
            must_run("bench.sized", size, "bench.networks", "judge", "--run", run)
            measured = json.loads((run / _MEASURED).read_text())
            content = {"settings": settings_of(config, name), **measured}
            write_json(_judged(config, name), content)
    lines = table(config)
    (config.out / "networks.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def settings_of(config: NetworksConfig, name: str) -> dict[str, Any]:
    """What a stored measurement must be of, to stand in the table."""
    real = os.environ.get("MRI_REAL_DATA")
    return {
        "subjects": config.subjects,
        "epochs": config.epochs,
        "seed": config.seed,
        "network": [VARIANTS[name].size, *VARIANTS[name].options],
        "phantom code": phantom_code(),
        "set of real scans": identity_of(Path(real)) if real else None,
    }


def _load(config: NetworksConfig, name: str) -> dict[str, Any]:
    path = _judged(config, name)
    content: dict[str, Any] = json.loads(path.read_text())
    remedy = (
        "give the same settings to go on, name another --out, or delete "
        f"{config.out} to train again"
    )
    stored = content.get("settings", {})
    refuse_other(path, stored, settings_of(config, name), remedy)
    return content


def _run(config: NetworksConfig, name: str) -> Path:
    return config.out / name


def _judged(config: NetworksConfig, name: str) -> Path:
    return _run(config, name) / "judged.json"


def _train(config: NetworksConfig, name: str) -> None:
    variant = VARIANTS[name]
    shards = config.out / f"shards-{variant.size}"
    must_run(
        "bench.sized", variant.size, "pipeline.shards",
        "--phantom", config.subjects,
        "--seed", config.seed, "--validation", 0.2, "--test", 0, "--workers", 1,
        "--out", shards,
    )  # fmt: skip
    must_run(
        "bench.sized", variant.size, "pipeline.train",
        "--shards", shards, "--run", _run(config, name), "--seed", config.seed,
        "--epochs", config.epochs, *variant.options,
    )  # fmt: skip


def judge(config: JudgeConfig) -> None:
    """Measures a finished run: validation, real scans, time of a slice."""
    from pipeline import scoring
    from pipeline.dataset import evaluation_batches
    from pipeline.evaluate.reliability import calibration_error
    from pipeline.latency import slice_milliseconds
    from pipeline.manifest import load_manifest
    from pipeline.runs import load_run

    run = load_run(config.run)
    scores = scoring.score(
        run.model, evaluation_batches(run.shards, "validation", batch_size=256)
    )
    logs = scoring.log_softmax(scores.logits, run.calibration.temperature)
    truth = logs[np.arange(len(logs)), scores.labels]
    right = logs.argmax(1) == scores.labels
    write_json(
        config.run / _MEASURED,
        {
            "slices": load_manifest(run.shards).count("train"),
            "parameters": run.model.count_params(),
            "loss": float(-truth.mean()),
            "accuracy": float(right.mean()),
            "ece": calibration_error(np.exp(logs.max(1)), right),
            # The median: what is usual on a machine that does nothing else.
            "milliseconds": float(
                np.median(slice_milliseconds(scoring.forward_pass(run.model)))
            ),
            **_on_real_scans(run),
        },
    )


def _on_real_scans(run: Any) -> dict[str, Any]:
    """Number of real scans, and the mean over classes of their loss; None of none."""
    from pipeline.answering import of_run

    folder = os.environ.get("MRI_REAL_DATA")
    scans = list(accepted_scans(Path(folder))) if folder else []
    if not scans:
        return {"real": None, "real_scans": 0}
    judged = judge_scans(of_run(run), scans)
    loss = losses(np.array([judged[scan.name][1] for scan in scans]))
    truth = np.array([scan.contrast for scan in scans])
    means = [loss[truth == name].mean() for name in sorted(set(truth))]
    return {"real": float(np.mean(means)), "real_scans": len(scans)}


def table(config: NetworksConfig) -> list[str]:
    """The table as Markdown, below what each training was given.

    Args:
        config: Of the trainings, all finished.

    Raises:
        ValueError: What is stored is of other settings.
    """
    rows = {name: _load(config, name) for name in config.only}
    learned = [found["slices"] for found in rows.values()]
    lines = [
        f"Each training: {config.subjects} simulated heads, "
        f"{config.subjects * SCANS_PER_SUBJECT} scans, {min(learned)} to "
        f"{max(learned)} training slices, {config.epochs} epochs, seed {config.seed}. "
        f"Judged on {max(found['real_scans'] for found in rows.values())} real scans.",
        "",
        "| network | parameters | ms a slice | validation loss | right | ECE | "
        "loss of real scans |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in rows.items():
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
        return run_command(
            JudgeConfig,
            judge,
            prog="python -m bench.networks judge",
            arguments=given[1:],
        )
    return run_command(
        NetworksConfig, compare, prog="python -m bench.networks", arguments=given
    )


if __name__ == "__main__":
    sys.exit(main())
