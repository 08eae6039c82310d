"""Prepares a training: what each device does, whether hosts agree, the loop itself."""

import dataclasses
import json
import logging
from typing import Any, Final

import keras
import tensorflow as tf

from pipeline.checkpoints import Checkpoint, Position, restore
from pipeline.dataset import training_batches, validation_batches
from pipeline.devices import Devices
from pipeline.loop import Loop
from pipeline.manifest import Manifest, load_manifest
from pipeline.model import build
from pipeline.settings import TrainConfig
from pipeline.share import steps_per_epoch
from pipeline.signals import Stop
from pipeline.step import (
    StepConfig,
    build_optimizer,
    compile_train_step,
    compile_validation_step,
    cosine_schedule,
)

VALIDATION_BATCH: Final = 256
"""Slices a device validates at a time."""

_log = logging.getLogger(__name__)


def share_steps(
    config: TrainConfig, manifest: Manifest, devices: Devices
) -> tuple[StepConfig, int]:
    """What a step is on each device, and their number in an epoch.

    Raises:
        ValueError: The devices cannot share a batch or the shards equally.
    """
    share, rest = divmod(config.batch_size, devices.replicas)
    if rest:
        raise ValueError(
            f"--batch-size {config.batch_size} cannot be shared by {devices.replicas} "
            "devices; make it a multiple of their number"
        )
    step = StepConfig(
        config.augment, share, config.accumulate, config.seed, config.heads_weight
    )
    whole = steps_per_epoch(manifest, share, devices.replicas)
    return step, config.steps_per_epoch or whole


def check_hosts(
    devices: Devices, identity: dict[str, Any], checkpoint: Checkpoint | None
) -> None:
    """Refuses to train hosts together that would not do the same.

    Args:
        devices: Of this host and the others.
        identity: What the result of this host's training depends on.
        checkpoint: Where it would go on.

    Raises:
        ValueError: Another host says something else.
    """
    position = None if checkpoint is None else dataclasses.asdict(checkpoint.position)
    if devices.workers > 1 and not devices.agree(json.dumps([identity, position])):
        raise ValueError(
            "the hosts differ in settings, shards or in where the run stands (here: "
            f"{'its start' if position is None else position}); give all the same "
            "command, and a folder for the run that all of them see"
        )


def prepare(
    config: TrainConfig,
    devices: Devices,
    identity: dict[str, Any],
    checkpoint: Checkpoint | None,
    stop: Stop,
    step: StepConfig,
    steps: int,
) -> Loop:
    """Builds the network, compiles the steps and opens the input, at its position.

    Args:
        config: All settings.
        devices: What it runs on.
        identity: What checkpoints are marked with.
        checkpoint: Where to go on; None to begin.
        stop: Asked after every step.
        step: What each device does in a step.
        steps: In an epoch.
    """
    model, optimizer = _network(config, devices, steps)
    position = Position()
    if checkpoint is not None:
        restore(checkpoint, [*model.variables, *optimizer.variables])
        position = checkpoint.position
        _log.info("going on at epoch %d, step %d", position.epoch, position.step)
    done = (position.epoch - 1) * steps + position.step
    return Loop(
        run=config.run,
        devices=devices,
        model=model,
        optimizer=optimizer,
        train_step=compile_train_step(model, optimizer, devices, step),
        validation_step=compile_validation_step(model, devices),
        batches=devices.iterate(_training_input(config, devices, step.slices, done)),
        validation=_validation_input(config, devices, step.slices),
        steps=steps,
        slices=config.batch_size,
        position=position,
        identity=identity,
        stop=stop,
        checkpoint_seconds=config.checkpoint_seconds,
    )


def _network(
    config: TrainConfig, devices: Devices, steps: int
) -> tuple[keras.Model, keras.optimizers.Optimizer]:
    """The network and its optimizer, with weights on every device."""
    with devices.strategy.scope():
        model = build(config.hyper, seed=config.seed, precision=devices.precision)
        optimizer = build_optimizer(
            model,
            cosine_schedule(config.learning_rate, steps * config.epochs)
            if config.schedule == "cosine"
            else config.learning_rate,
            weight_decay=config.weight_decay,
            precision=devices.precision,
        )
    return model, optimizer


def _training_input(
    config: TrainConfig, devices: Devices, slices: int, done: int
) -> list[tf.data.Dataset]:
    """Training batches of each device of this host, after so many steps."""
    # Epochs of the training may be longer or shorter than a pass over the slices.
    whole = steps_per_epoch(load_manifest(config.shards), slices, devices.replicas)
    return [
        training_batches(
            config.shards,
            batch_size=slices,
            seed=config.seed,
            first_epoch=done // whole,
            first_step=done % whole,
            share=part,
        )
        for part in devices.shares()
    ]


def _validation_input(
    config: TrainConfig, devices: Devices, slices: int
) -> list[tf.data.Dataset]:
    """Validation batches of each device of this host."""
    size = VALIDATION_BATCH if config.validation_steps is None else slices
    return [
        validation_batches(config.shards, batch_size=size, share=part).take(
            config.validation_steps or tf.data.INFINITE_CARDINALITY
        )
        for part in devices.shares()
    ]
