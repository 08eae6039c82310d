"""What a training run holds: how it is written, and how other programs load it."""

import dataclasses
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import keras

from pipeline import checkpoints
from pipeline.contrasts import CLASSES
from pipeline.files import replacing, sync, write_json
from pipeline.model import SmoothInUse
from pipeline.provenance import MACHINES

BOARD: Final = "tensorboard"
"""Folder of a run for TensorBoard's events."""

_METRICS: Final = "metrics.jsonl"
_OURS: Final = (
    # The network first: without it, what is left counts as no finished run.
    *("model.keras", "calibration.json", "evaluation.json", _METRICS),
    *("best.weights.h5", "summary.txt", "config.json", MACHINES),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Calibration:
    """Turns logits into probabilities that can be trusted, for slices and volumes.

    Attributes:
        temperature: Divides the logits of one slice; above 0.
        rho: Correlation of the slices of one scan in [0, 1]: a volume's summed
            log-probabilities are divided by `1 + (n - 1) * rho`.
        accept: Below this probability of the winner the verdict is `unsure`;
            in [0, 1].
    """

    temperature: float
    rho: float
    accept: float

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        for name in ("rho", "accept"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value}")

    def save(self, run: Path) -> None:
        """Writes `calibration.json` into the run's folder."""
        write_json(run / "calibration.json", dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """A trained network with all that export, evaluation and prediction need.

    Attributes:
        path: The run's folder.
        model: Maps (batch, 150, 150, 1) float32 in [0, 1] to a dictionary of logits,
            as `pipeline.model.build` says.
        classes: Names of the outputs, in their order.
        calibration: Fitted on validation volumes.
        manifest_sha256: Digest of the manifest of the shards it was trained on.
        hyper: The network's hyper-parameters.
        metrics: What `evaluation.json` holds; empty before evaluation.
        shards: What it was trained on.
    """

    path: Path
    model: keras.Model
    classes: tuple[str, ...]
    calibration: Calibration
    manifest_sha256: str | None
    hyper: dict[str, Any]
    metrics: dict[str, Any]
    shards: Path


def load_run(path: Path) -> Run:
    """Loads a finished run.

    Args:
        path: Folder with `model.keras`, `config.json` and `calibration.json`.

    Raises:
        FileNotFoundError: The folder is not a finished run.
        ValueError: A file of it is damaged.
    """
    for name in ("model.keras", "config.json", "calibration.json"):
        if not (path / name).is_file():
            raise FileNotFoundError(
                f"{path} holds no {name}, so it is not a finished run; train one with "
                "`make train`, or name another with RUN="
            )
    config = _read(path / "config.json")
    evaluation = path / "evaluation.json"
    try:
        model = keras.saving.load_model(
            path / "model.keras", {"SmoothInUse": SmoothInUse}, compile=False
        )
        return Run(
            path=path,
            model=model,
            classes=tuple(config["classes"]),
            calibration=Calibration(**_read(path / "calibration.json")),
            manifest_sha256=config["manifest_sha256"],
            hyper=config["hyper"],
            metrics=_read(evaluation) if evaluation.is_file() else {},
            shards=Path(config["shards"]),
        )
    except (KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise _damaged(path, error) from None
    return content


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is damaged ({error}); train the run again, or name another with RUN="
    )


def newest_run(root: Path = Path("runs/train")) -> Path:
    """Finds the run that finished last.

    Raises:
        FileNotFoundError: There is none.
    """
    finished = sorted(
        root.glob("*/model.keras"), key=lambda model: model.stat().st_mtime
    )
    if not finished:
        raise FileNotFoundError(
            f"no finished run in {root}; train one with `make train` or `make demo`"
        )
    return finished[-1].parent


def begin(
    run: Path, settings: Mapping[str, Any], manifest_sha256: str, model: keras.Model
) -> None:
    """Clears an older run away, writes what this one is made with, and prints it.

    Args:
        run: Its folder; made where it is missing.
        settings: All of them, for `config.json`.
        manifest_sha256: Digest of the manifest of the shards.
        model: The network, for `summary.txt`.
    """
    # Checkpoints first: with one, what is left would count as a training to go on with.
    for folder in (checkpoints.FOLDER, BOARD):
        if (run / folder).is_dir():
            shutil.rmtree(run / folder)
    for name in _OURS:
        (run / name).unlink(missing_ok=True)
    for pattern in ("broken-batch-*.npz", "*.partial", "*.keras"):
        for left in run.glob(pattern):
            left.unlink()
    content = json.loads(json.dumps(settings, default=str))
    write_json(
        run / "config.json",
        {"classes": CLASSES, "manifest_sha256": manifest_sha256, **content},
    )
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    (run / "summary.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def add_epoch(run: Path, record: Mapping[str, Any]) -> None:
    """Appends an epoch to `metrics.jsonl`."""
    with (run / _METRICS).open("a") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def keep_epochs(run: Path, last: int) -> None:
    """Drops epochs after `last` from `metrics.jsonl`: they are trained again."""
    path = run / _METRICS
    if not path.is_file():
        return
    lines = path.read_text().splitlines(keepends=True)[:last]
    with replacing(path) as temporary:
        temporary.write_text("".join(lines))


def weights_of(run: Path) -> Path:
    """Returns where a run keeps the weights of its best epoch."""
    return run / "best.weights.h5"


def save_weights(run: Path, model: keras.Model) -> None:
    """Keeps the weights of the best epoch so far, whole or not at all."""
    temporary = run / "saving.weights.h5"  # Keras insists on the ending
    model.save_weights(temporary)
    sync(temporary)
    temporary.replace(weights_of(run))
    sync(run)


def finish(run: Path, model: keras.Model, calibration: Calibration) -> None:
    """Writes the calibration and the network, the network last of all."""
    (run / "evaluation.json").unlink(missing_ok=True)  # of an earlier network
    calibration.save(run)
    with replacing(run / "model.keras") as temporary:
        whole = temporary.with_suffix(".keras")  # Keras insists on the ending
        model.save(whole)
        whole.replace(temporary)
