"""One training and what its rows say of the test slices, in a process of its own.

Started by `pipeline.experiments`, which writes a pickled `Job` to its input.
"""

import dataclasses
import json
import pickle
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline import scoring
from pipeline.command import WRONG_USE
from pipeline.dataset import evaluation_batches, explained_damage
from pipeline.experiments.measured import Measured, Training, out_of_patience
from pipeline.files import replacing
from pipeline.model import build
from pipeline.processes import end_with_parent
from pipeline.progress import log_to_console
from pipeline.runs import load_run, weights_of
from pipeline.settings import TrainConfig
from pipeline.train import train

BATCH = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What is read from a training.

    Attributes:
        path: Where it is stored.
        patience: As in `pipeline.experiments.rows.Row`.
    """

    path: Path
    patience: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One training with all that is read from it.

    Attributes:
        training: Its settings.
        readings: One a row.
        test: Shards with the split `test`.
        settings: What identifies the training and its data, kept with each reading.
    """

    training: TrainConfig
    readings: tuple[Reading, ...]
    test: Path
    settings: dict[str, Any]


def work(job: Job) -> int:
    """Trains, or goes on, and reads the test slices; returns the exit code."""
    run = job.training.run
    shorter = [each.patience for each in job.readings if each.patience is not None]
    code = train(job.training, [_Prefix(run, patience) for patience in shorter])
    if code:
        return code
    lines = (run / "metrics.jsonl").read_text().splitlines()
    epochs = [json.loads(line) for line in lines]
    for reading in job.readings:
        if not reading.path.is_file():
            _read(job, reading, epochs).save(reading.path)
    return 0


def _read(job: Job, reading: Reading, epochs: list[dict[str, Any]]) -> Measured:
    losses = [record["validation_loss"] for record in epochs]
    last = out_of_patience(losses, reading.patience) or len(losses)
    model = load_run(job.training.run).model
    if last < len(losses):
        model = build(job.training.hyper, seed=job.training.seed)
        model.load_weights(_prefix_of(job.training.run, reading.patience))
    subjects: list[str] = []
    with explained_damage(job.test):
        batches = evaluation_batches(job.test, "test", batch_size=BATCH)
        scores = scoring.score(model, _noting(batches, subjects))
    logs = scoring.log_softmax(scores.logits, 1.0)
    return Measured(
        wrong=scores.logits.argmax(axis=1) != scores.labels,
        loss=-logs[np.arange(len(logs)), scores.labels],
        subjects=np.array(subjects),
        training=_training(job, model, epochs[:last]),
        settings=job.settings,
    )


def _training(job: Job, model: keras.Model, epochs: list[dict[str, Any]]) -> Training:
    settings = job.training
    best = min(epochs, key=lambda record: record["validation_loss"])
    speeds = [
        each["slices_per_second"] for each in epochs if "slices_per_second" in each
    ]
    steps = len(epochs) * (settings.steps_per_epoch or 0)
    return Training(
        parameters=model.count_params(),
        ms_per_step=1000 * settings.batch_size / float(np.median(speeds)),
        slices=steps * settings.batch_size,
        epochs=len(epochs),
        best_epoch=best["epoch"],
        train_loss=best["loss"],
        validation_loss=best["validation_loss"],
    )


def _noting(
    batches: Iterable[Mapping[str, tf.Tensor]], subjects: list[str]
) -> Iterator[Mapping[str, tf.Tensor]]:
    """Passes batches on and keeps whose slices they were."""
    for batch in batches:
        subjects.extend(batch["subject"].numpy().astype(str))
        yield batch


def _prefix_of(run: Path, patience: int | None) -> Path:
    return run / f"patience-{patience}.weights.h5"


class _Prefix(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Keeps the network that a shorter patience would have ended with.

    It is written once: where a training was killed and goes on from before that epoch,
    the best weights beside it may be those of a later one.
    """

    def __init__(self, run: Path, patience: int) -> None:
        super().__init__()
        self._run, self._patience = run, patience

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        lines = (self._run / "metrics.jsonl").read_text().splitlines()
        losses = [json.loads(line)["validation_loss"] for line in lines]
        kept = _prefix_of(self._run, self._patience)
        if out_of_patience(losses, self._patience) == epoch and not kept.is_file():
            with replacing(kept) as temporary:
                shutil.copyfile(weights_of(self._run), temporary)


def main() -> int:
    """Does the job on standard input and returns its exit code."""
    log_to_console()
    job = pickle.load(sys.stdin.buffer)
    end_with_parent()
    try:
        return work(job)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_USE


if __name__ == "__main__":
    sys.exit(main())
