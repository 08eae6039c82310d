"""What a trained network said of every test slice, and what its training took."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.files import replacing


@dataclasses.dataclass(frozen=True, slots=True)
class Training:
    """What a training took and reached.

    Attributes:
        parameters: Of the network.
        ms_per_step: Median over the epochs of the mean milliseconds a step.
        slices: That were learned from, repeated ones counted each time.
        epochs: Until its end, or until patience ran out.
        best_epoch: The one whose network is measured.
        train_loss: Of that epoch, on augmented slices.
        validation_loss: Of that epoch.
    """

    parameters: int
    ms_per_step: float
    slices: int
    epochs: int
    best_epoch: int
    train_loss: float
    validation_loss: float


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """One network on the test slices, in the order of the shards.

    Attributes:
        wrong: (slices,) bool.
        loss: (slices,) float32 cross-entropy, before any temperature.
        subjects: (slices,) whose they are.
        training: What led to it.
        settings: What identifies the training and the data.
    """

    wrong: NDArray[np.bool_]
    loss: NDArray[np.float64]
    subjects: NDArray[np.str_]
    training: Training
    settings: dict[str, Any]

    def save(self, path: Path) -> None:
        """Writes it, whole or not at all."""
        about = {
            "training": dataclasses.asdict(self.training),
            "settings": self.settings,
        }
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                about=np.array(json.dumps(about)),
                wrong=self.wrong,
                loss=self.loss.astype(np.float32),
                subjects=self.subjects,
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as content:
            about = json.loads(str(content["about"]))
            return cls(
                wrong=content["wrong"],
                loss=content["loss"],
                subjects=content["subjects"],
                training=Training(**about["training"]),
                settings=about["settings"],
            )


def out_of_patience(losses: Sequence[float], patience: int | None) -> int | None:
    """Returns after which epoch, from 1, so many brought nothing better; or None."""
    if patience is None:
        return None
    best, at = float("inf"), 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, at = loss, epoch
        if epoch - at >= patience:
            return epoch
    return None
