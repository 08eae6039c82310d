"""What a finished training run holds, and how the other programs load it."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import keras

from pipeline.files import write_json


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
        model: Maps (batch, 150, 150, 1) float32 in [0, 1] to (batch, classes) logits.
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
        model = keras.saving.load_model(path / "model.keras", compile=False)
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
