"""Where a training stands, on disk: all variables and the position, in one file.

A file is complete or not there, and its parts carry checksums. The one before it is
kept, so that a damaged file costs the minutes since then, not the training.
"""

import dataclasses
import json
import logging
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.files import replacing

FOLDER: Final = "checkpoints"
_LAST: Final = "last.npz"
_BEFORE: Final = "before.npz"

_DAMAGE: Final = (
    *(ValueError, KeyError, TypeError, OSError, EOFError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
    RuntimeError,  # zipfile's word for flags that a flipped bit sets: encrypted, say
)

_log = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class Position:
    """How far a training has come, with what its metrics are added up from.

    Attributes:
        epoch: The epoch that runs, from 1.
        step: Steps of it that are done.
        loss_sum: Of those steps.
        right_sum: Shares of right answers of those steps, added up.
        seconds: That the epoch took so far, over all stops.
        best_loss: Least validation loss so far.
        best_epoch: Where that was; 0 before the first validation.
        finished: Whether nothing is left to do.
    """

    epoch: int = 1
    step: int = 0
    loss_sum: float = 0.0
    right_sum: float = 0.0
    seconds: float = 0.0
    best_loss: float = float("inf")
    best_epoch: int = 0
    finished: bool = False

    def next_epoch(self) -> None:
        """Moves on to the first step of the next epoch."""
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0
        self.loss_sum, self.right_sum = 0, 0


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        position: Where the training stands.
        identity: The settings that the rest of the training depends on.
        arrays: Values of the variables, in order.
    """

    position: Position
    identity: dict[str, Any]
    arrays: list[NDArray[Any]]


def save_checkpoint(
    run: Path,
    position: Position,
    identity: dict[str, Any],
    variables: Sequence[keras.Variable],
) -> None:
    """Writes `checkpoints/last.npz`; what was there becomes `before.npz`.

    Args:
        run: Folder of the run.
        position: Where the training stands.
        identity: The settings that the rest of the training depends on.
        variables: Of the network and the optimizer, always in the same order.
    """
    about = {"position": dataclasses.asdict(position), "identity": identity}
    content: dict[str, Any] = {"about": np.array(json.dumps(about))}
    content |= {f"{i:05d}": np.asarray(v) for i, v in enumerate(variables)}
    last = run / FOLDER / _LAST
    with replacing(last) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, **content)
        if last.is_file():
            last.replace(last.with_name(_BEFORE))


def load_checkpoint(run: Path) -> Checkpoint | None:
    """Reads the newest undamaged checkpoint of a run; None where it has none.

    Raises:
        ValueError: There are checkpoints, and all are damaged.
    """
    damaged = []
    for name in (_LAST, _BEFORE):
        path = run / FOLDER / name
        if not path.is_file():
            continue
        try:
            return _read(path)
        except _DAMAGE as error:
            _log.warning("%s is damaged (%s)", path, error)
            damaged.append(name)
    if damaged:
        raise ValueError(
            f"{run / FOLDER} holds only damaged checkpoints ({' and '.join(damaged)}); "
            "pass --restart to train this run again from its first step"
        )
    return None


def restore(checkpoint: Checkpoint, variables: Sequence[keras.Variable]) -> None:
    """Gives variables the values of a checkpoint.

    Args:
        checkpoint: Saved from variables of the same network and optimizer.
        variables: In the order in which they were saved.

    Raises:
        ValueError: The variables are others.
    """
    found = [array.shape for array in checkpoint.arrays]
    wanted = [tuple(variable.shape) for variable in variables]
    if found != wanted:
        raise ValueError(
            f"the checkpoint holds {len(found)} variables of other shapes than this "
            f"network's {len(wanted)}; another version of this program wrote it: pass "
            "--restart to train this run again from its first step"
        )
    for variable, array in zip(variables, checkpoint.arrays, strict=True):
        variable.assign(array)


def _read(path: Path) -> Checkpoint:
    """Reads a file whole, so that every checksum in it is compared."""
    with np.load(path, allow_pickle=False) as content:
        about = json.loads(str(content["about"]))
        names = sorted(set(content.files) - {"about"})
        arrays = [content[name] for name in names]
    return Checkpoint(Position(**about["position"]), about["identity"], arrays)
