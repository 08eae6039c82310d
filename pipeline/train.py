"""Trains the network on shards and leaves a finished run.

    python -m pipeline.train --shards data/shards/NAME --run runs/train/NAME

The loop is our own, since Keras' `fit` hides how long it waits for input: the next
batch is fetched in Python, where the wait can be timed, then one compiled step
augments, learns and counts. Ctrl+C and SIGTERM keep the best network so far and finish
the run with it.
"""

import dataclasses
import json
import logging
import math
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline import scoring
from pipeline.augment import AugmentConfig
from pipeline.calibration import calibrate
from pipeline.command import INTERRUPTED, run_command
from pipeline.contrasts import CLASSES
from pipeline.dataset import (
    evaluation_batches,
    explained_damage,
    steps_per_epoch,
    training_batches,
)
from pipeline.files import replacing, write_json
from pipeline.manifest import load_manifest
from pipeline.model import HyperParameters, build
from pipeline.progress import progress
from pipeline.signals import stoppable, unstoppable
from pipeline.step import Step, compile_step, schedule_optimizer

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class TrainConfig:
    """Trains a network.

    Attributes:
        shards: Folder of shards with their manifest.
        run: Folder of the run; made where it is missing.
        epochs: Passes over the training slices, at most.
        patience: Epochs without a better validation loss before training stops.
        batch_size: Slices a step.
        learning_rate: Peak of a cosine schedule.
        weight_decay: Of AdamW.
        seed: Fixes weights, order and augmentation.
        hyper: The network.
        augment: How far slices are changed.
    """

    shards: Path = Path("data/shards/phantom")
    run: Path = Path("runs/train/default")
    epochs: int = 12
    patience: int = 10
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    seed: int = 0
    hyper: HyperParameters = dataclasses.field(default_factory=HyperParameters)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")


@dataclasses.dataclass(slots=True)
class _Best:
    """The best epoch so far."""

    loss: float = float("inf")
    epoch: int = 0


def train(config: TrainConfig) -> int:
    """Trains, calibrates and finishes the run.

    Returns:
        0, or 130 where it was interrupted; from the first validated epoch on, the run
        is finished in both cases.

    Raises:
        FileNotFoundError: There are no finished shards.
        ValueError: They are too few or damaged, or the loss is no number any more.
    """
    manifest = load_manifest(config.shards)
    manifest.of_split("validation")
    steps = steps_per_epoch(manifest, config.batch_size)
    model = build(config.hyper, seed=config.seed)
    _begin(config, model, manifest.sha256)
    with stoppable(), explained_damage(config.shards):
        try:
            _fit(config, model, steps)
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
    if interrupted and not _weights_of(config.run).is_file():
        _log.warning("interrupted before the first epoch ended: nothing to keep")
        return INTERRUPTED
    with unstoppable():
        _finish(config, model)
    if interrupted:
        _log.warning(
            "interrupted: the best network so far is finished and kept in %s",
            config.run,
        )
        return INTERRUPTED
    _log.info("done: %s; next: make evaluate RUN=%s", config.run, config.run)
    return 0


def _begin(config: TrainConfig, model: keras.Model, manifest_sha256: str) -> None:
    """Clears an older run away, writes what this one is made with, and prints it."""
    # The network first: without it, what is left counts as no finished run.
    for name in ("model.keras", "calibration.json", "evaluation.json"):
        (config.run / name).unlink(missing_ok=True)
    (config.run / "metrics.jsonl").unlink(missing_ok=True)
    _weights_of(config.run).unlink(missing_ok=True)
    shutil.rmtree(_board_of(config.run), ignore_errors=True)
    content = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    write_json(
        config.run / "config.json",
        {"classes": CLASSES, "manifest_sha256": manifest_sha256, **content},
    )
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    (config.run / "summary.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def _fit(config: TrainConfig, model: keras.Model, steps: int) -> None:
    """The loop: epochs of timed steps, then validation, until patience runs out."""
    optimizer = schedule_optimizer(
        model,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        steps=steps * config.epochs,
    )
    step = compile_step(
        model,
        optimizer,
        augmentation=config.augment,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    batches = iter(
        training_batches(config.shards, batch_size=config.batch_size, seed=config.seed)
    )
    best = _Best()
    board = tf.summary.create_file_writer(str(_board_of(config.run)))
    for epoch in range(1, config.epochs + 1):
        learned = _epoch(config, step, batches, epoch, steps)
        validated = _validate(config, model)
        _finite(validated["validation_loss"], epoch, steps)
        record = {"epoch": epoch, **learned, **validated}
        if validated["validation_loss"] < best.loss:
            best.loss, best.epoch = validated["validation_loss"], epoch
            _save_weights(config.run, model)
        _report(config, board, record)
        if epoch - best.epoch >= config.patience:
            _log.info("no better for %d epochs: stopping", config.patience)
            return


def _epoch(
    config: TrainConfig,
    step: Step,
    batches: Iterator[dict[str, tf.Tensor]],
    epoch: int,
    steps: int,
) -> dict[str, float]:
    """Runs one epoch; returns its means, its speed and its input-bound share."""
    losses, rights, waited = [], [], 0.0
    start = time.perf_counter()
    with progress(f"epoch {epoch}/{config.epochs}", steps, "steps") as advance:
        for index in range(steps):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            number = tf.constant((epoch - 1) * steps + index, tf.int32)
            loss, right = step(batch["image"], batch["label"], number)
            losses.append(_finite(float(loss), epoch, index + 1))
            rights.append(float(right))
            elapsed = time.perf_counter() - start
            speed = (index + 1) * config.batch_size / elapsed
            advance(
                loss=f"{np.mean(losses[-50:]):.3f}",
                speed=f"{speed:.0f} slices/s",
                waiting=f"{waited / elapsed:.1%}",
            )
    elapsed = time.perf_counter() - start
    return {
        "loss": float(np.mean(losses)),
        "accuracy": float(np.mean(rights)),
        "slices_per_second": steps * config.batch_size / elapsed,
        "input_bound": waited / elapsed,
    }


def _finite(loss: float, epoch: int, step: int) -> float:
    """The loss, where it still is a number."""
    if not math.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} after step {step} of epoch {epoch}; lower "
            "--learning-rate, or look for broken slices"
        )
    return loss


def _validate(config: TrainConfig, model: keras.Model) -> dict[str, float]:
    """Loss and accuracy over the whole validation split, each slice once."""
    scores = _validation_scores(config, model)
    logs = scoring.log_softmax(scores.logits, 1.0)
    truth = logs[np.arange(len(scores.labels)), scores.labels]
    return {
        "validation_loss": float(-truth.mean()),
        "validation_accuracy": float((logs.argmax(1) == scores.labels).mean()),
    }


def _validation_scores(config: TrainConfig, model: keras.Model) -> scoring.Scores:
    batches = evaluation_batches(config.shards, "validation", batch_size=256)
    return scoring.score(model, batches)


def _weights_of(run: Path) -> Path:
    return run / "best.weights.h5"


def _board_of(run: Path) -> Path:
    return run / "tensorboard"


def _save_weights(run: Path, model: keras.Model) -> None:
    """Keeps the weights, whole or not at all."""
    temporary = run / "saving.weights.h5"
    model.save_weights(temporary)
    temporary.replace(_weights_of(run))


def _report(
    config: TrainConfig, board: "tf.summary.SummaryWriter", record: dict[str, Any]
) -> None:
    with (config.run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")
    with board.as_default(step=record["epoch"]):
        for name, value in record.items():
            tf.summary.scalar(name, value)
    _log.info(
        "epoch %d: loss %.4f  accuracy %.4f  validation loss %.4f  accuracy %.4f  "
        "%.0f slices/s  input-bound %.1f %%",
        *(record["epoch"], record["loss"], record["accuracy"]),
        *(record["validation_loss"], record["validation_accuracy"]),
        *(record["slices_per_second"], 100 * record["input_bound"]),
    )


def _finish(config: TrainConfig, model: keras.Model) -> None:
    """Takes the best weights, calibrates them and writes the network, last of all."""
    model.load_weights(_weights_of(config.run))
    calibrate(_validation_scores(config, model)).save(config.run)
    with replacing(config.run / "model.keras") as temporary:
        whole = temporary.with_suffix(".keras")  # Keras insists on the ending
        model.save(whole)
        whole.replace(temporary)


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(TrainConfig, train, prog="python -m pipeline.train")


if __name__ == "__main__":
    sys.exit(main())
