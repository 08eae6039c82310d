"""Trains the network on shards and leaves a finished run.

    python -m pipeline.train --shards data/shards/NAME --run runs/train/NAME
    python -m pipeline.train --preset study-submitted --seed 1

Ctrl+C and SIGTERM save where the training stands and finish the run with the best
network so far; the same command goes on, to the same result as without a stop. So it
does after `kill -9`, from the last checkpoint.
"""

import contextlib
import dataclasses
import logging
import math
import sys
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pipeline import augment, files, presets, provenance, runs, scoring
from pipeline.board import PICTURES, Board
from pipeline.calibration import calibrate
from pipeline.checkpoints import load_checkpoint
from pipeline.command import INTERRUPTED, run_command
from pipeline.dataset import (
    evaluation_batches,
    explained_damage,
)
from pipeline.devices import explained_loss_of_hosts, open_devices
from pipeline.loop import Interrupted, Loop
from pipeline.manifest import Manifest, load_manifest
from pipeline.model import build
from pipeline.preparation import (
    VALIDATION_BATCH,
    check_hosts,
    prepare,
    share_steps,
)
from pipeline.progress import progress
from pipeline.settings import TrainConfig, check_same
from pipeline.signals import stop_requests

__all__ = ["TrainConfig", "train"]

_log = logging.getLogger(__name__)


def train(
    config: TrainConfig, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> int:
    """Trains, calibrates and finishes the run, or goes on with it.

    Args:
        config: All settings.
        callbacks: Told of every step and epoch besides the run's own.

    Returns:
        0, or 130 where it was told to stop; the same configuration then goes on, where
        anything is left.

    Raises:
        FileNotFoundError: There are no finished shards.
        ValueError: The shards are too few or damaged, the run's folder holds another
            training, or the loss is no number any more.
    """
    manifest = load_manifest(config.shards)
    manifest.of_split("validation")
    devices = open_devices(config.device, precision=config.precision, xla=config.xla)
    step, steps = share_steps(config, manifest, devices)
    with contextlib.ExitStack() as held:
        if devices.chief:
            lock = files.locked(config.run / "lock", f"trains {config.run}")
            held.enter_context(lock)
        identity = config.identity(manifest, devices)
        checkpoint = None if config.restart else load_checkpoint(config.run)
        check_same(config, checkpoint, identity)
        if checkpoint is not None and checkpoint.position.finished:
            _log.info(
                "%s is finished; --restart trains it again, another RUN= a new one",
                config.run,
            )
            return 0
        stop = held.enter_context(stop_requests())
        held.enter_context(explained_damage(config.shards))
        held.enter_context(explained_loss_of_hosts(devices))
        check_hosts(devices, identity, checkpoint)
        loop = prepare(config, devices, identity, checkpoint, stop, step, steps)
        if devices.chief:
            _begin(config, manifest, loop, anew=checkpoint is None)
        try:
            _learn(config, loop, callbacks)
        except Interrupted:
            return _interrupted(config, loop)
        stop.heard.set()  # What is left is worth the wait.
        if devices.chief:
            _finish(config)
            loop.position.finished = True
            loop.save()
    _log.info("done: %s; next: make evaluate RUN=%s", config.run, config.run)
    # Told to stop while it finished: what called this must not go on either.
    return INTERRUPTED if stop.requested else 0


def _begin(config: TrainConfig, manifest: Manifest, loop: Loop, *, anew: bool) -> None:
    """Notes in the run what it is made with, or takes it back to where it goes on."""
    if anew:
        settings = {
            **dataclasses.asdict(config),
            "command": provenance.command_line(),
            "data": provenance.about_data(manifest),
        }
        runs.begin(config.run, settings, manifest.sha256, loop.model)
    else:
        runs.keep_epochs(config.run, loop.position.epoch - 1)
    provenance.note_machine(config.run)


def _learn(
    config: TrainConfig, loop: Loop, callbacks: Sequence[keras.callbacks.Callback]
) -> None:
    """Epochs of timed steps, each validated, until patience runs out."""
    own = [_board(config, loop)] if loop.devices.chief else []
    told = keras.callbacks.CallbackList([*own, *callbacks], model=loop.model)
    told.on_train_begin()
    loop.model.stop_training = False  # Keras' callbacks set it
    position = loop.position
    try:
        while position.epoch <= config.epochs and not loop.model.stop_training:
            if position.epoch - 1 - position.best_epoch >= config.patience:
                _log.info("no better for %d epochs: stopping", config.patience)
                break
            told.on_epoch_begin(position.epoch)
            title = f"epoch {position.epoch}/{config.epochs}"
            with progress(title, loop.steps - position.step, "steps") as advance:
                learned = loop.learn(told, advance)
            loop.save_between()  # Validation can be long, and need not be waited for.
            record = {"epoch": position.epoch, **learned, **loop.validate()}
            record["seconds"] = round(loop.clock(), 3)
            _judge(loop, record)
            told.on_epoch_end(position.epoch, record)
            position.next_epoch()
            loop.save_between()
    finally:
        told.on_train_end()


def _judge(loop: Loop, record: dict[str, Any]) -> None:
    """Keeps the network where it is the best so far, and reports the epoch."""
    loss, position = record["validation_loss"], loop.position
    if not math.isfinite(loss):
        raise ValueError(
            f"the validation loss is {loss} after epoch {position.epoch}; lower "
            "--learning-rate and pass --restart, or look for broken slices"
        )
    if loss < position.best_loss:
        position.best_loss, position.best_epoch = loss, position.epoch
        if loop.devices.chief:
            runs.save_weights(loop.run, loop.model)
    if loop.devices.chief:
        runs.add_epoch(loop.run, record)
    speed = "all steps were done before"
    if "slices_per_second" in record:
        waiting = f"input-bound {record['input_bound']:.1%}"
        speed = f"{record['slices_per_second']:.0f} slices/s  {waiting}"
    _log.info(
        "epoch %d: loss %.4f  accuracy %.4f  validation loss %.4f  accuracy %.4f  %s",
        *(record["epoch"], record["loss"], record["accuracy"]),
        *(record["validation_loss"], record["validation_accuracy"], speed),
    )


def _board(config: TrainConfig, loop: Loop) -> Board:
    batches = evaluation_batches(config.shards, "train", batch_size=PICTURES)
    before = scoring.normalise(next(iter(batches))["image"])
    seed = tf.constant([config.seed, 0], tf.int32)
    drawn = augment.sample(config.augment, before.shape[0], seed)
    after = augment.apply(before, drawn)
    return Board(config.run / runs.BOARD, before, after, loop.position.epoch)


def _interrupted(config: TrainConfig, loop: Loop) -> int:
    """Finishes the run with the best network so far; returns the exit code."""
    _log.warning(
        "interrupted at epoch %d, step %d: saved in %s; the same command%s goes on",
        *(loop.position.epoch, loop.position.step, config.run),
        " without --restart" if config.restart else "",
    )
    if loop.devices.chief and loop.position.best_epoch:
        _finish(config)
        _log.warning("the best network so far is finished and kept in %s", config.run)
    return INTERRUPTED


def _finish(config: TrainConfig) -> None:
    """Calibrates the best weights and writes the network, last of all."""
    model = build(config.hyper, seed=config.seed)
    model.load_weights(runs.weights_of(config.run))
    batches = evaluation_batches(
        config.shards, "validation", batch_size=VALIDATION_BATCH
    )
    calibration = calibrate(scoring.score(model, batches), config.risk)
    runs.finish(config.run, model, calibration)


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        TrainConfig, train, prog="python -m pipeline.train", default=presets.chosen
    )


if __name__ == "__main__":
    sys.exit(main())
