"""The compiled steps: augment, learn, count; and validate."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import keras
import tensorflow as tf

from pipeline import augment
from pipeline.augment import Augmentation, AugmentConfig
from pipeline.devices import Devices
from pipeline.scoring import normalise

WARM_UP: Final = 0.05
"""Share of the steps over which the learning rate rises."""

Batch: TypeAlias = Mapping[str, tf.Tensor]

TrainStep: TypeAlias = Callable[[Batch, tf.Tensor, tf.Tensor], tf.Tensor]
"""(batch, number of the step, 1 where this host was told to stop) to (3,) float32:
loss, share of right answers, share of hosts that were told to stop."""

ValidationStep: TypeAlias = Callable[[Batch], tf.Tensor]
"""A batch to (3,) float32: summed loss, right answers, slices."""


@dataclasses.dataclass(frozen=True, slots=True)
class StepConfig:
    """What decides a step besides the network and the batch.

    Attributes:
        augment: How far slices are changed.
        slices: In each device's batch.
        pieces: The gradient is added up over so many parts of that batch, one after
            the other, so that a batch need not fit into the device at once.
        seed: With the number of the step, what everything random is drawn from.
    """

    augment: AugmentConfig
    slices: int
    pieces: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pieces < 1 or self.slices % self.pieces:
            raise ValueError(
                f"{self.slices} slices a device cannot be cut into {self.pieces} equal "
                "pieces; let --accumulate divide --batch-size over the devices"
            )


def cosine_schedule(
    learning_rate: float, steps: int
) -> keras.optimizers.schedules.CosineDecay:
    """A short rise to `learning_rate` and a cosine fall to a hundredth of it.

    Args:
        learning_rate: Peak.
        steps: Of the whole training.
    """
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / 20,
        max(1, round(steps * (1 - WARM_UP))),
        alpha=0.01,
        warmup_target=learning_rate,
        warmup_steps=max(1, round(steps * WARM_UP)),
    )


def build_optimizer(
    model: keras.Model,
    schedule: keras.optimizers.schedules.LearningRateSchedule | float,
    *,
    weight_decay: float,
    precision: str = "float32",
) -> keras.Optimizer:
    """Builds AdamW; in float16, gradients are scaled so that small ones survive.

    Args:
        model: Whose weights it will change; built in the same strategy's scope.
        schedule: Learning rate by step, or a constant one.
        weight_decay: Share of a weight lost in each step, times the learning rate.
        precision: Keras' dtype policy of the model.
    """
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def compile_train_step(
    model: keras.Model,
    optimizer: keras.Optimizer,
    devices: Devices,
    config: StepConfig,
) -> TrainStep:
    """Compiles the step that all devices take together.

    What is random is drawn outside of what XLA compiles, from the seed, the number of
    the step and that of the device: a step can be repeated, on whichever device.

    Args:
        model: Maps (slices, 150, 150, 1) float32 in [0, 1] to logits.
        optimizer: Built for the model.
        devices: What the step runs on.
        config: The rest.
    """
    gradient = tf.function(
        lambda image, label, drawn: _gradient(
            model, optimizer, config.pieces, image, label, drawn, xla=devices.xla
        ),
        jit_compile=devices.xla,
    )
    dropouts = _dropouts(model)
    sums = [v for v in model.non_trainable_variables if v.dtype == "float32"]

    def on_device(batch: Batch, number: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        seeds = tf.random.split(_step_seed(config.seed, number, context), 2)
        for index, dropout in enumerate(dropouts):
            drawn = tf.random.fold_in(seeds[1], index)
            dropout.state.assign(tf.bitcast(drawn, tf.uint32))
        drawn = augment.sample(config.augment, config.slices, seeds[0])
        gradients, loss, right = gradient(batch["image"], batch["label"], drawn)
        if devices.replicas > 1:
            gradients = [each / devices.replicas for each in gradients]
            if devices.precision == "mixed_float16":
                gradients = _all_or_none(gradients, context)
        optimizer.apply(gradients, model.trainable_variables)
        if devices.replicas > 1:
            # Each device normalises its own slices; one network comes of it.
            for variable in sums:
                value = tf.identity(variable.value)
                variable.assign(context.all_reduce(tf.distribute.ReduceOp.MEAN, value))
        return tf.stack([loss, right, stop])

    @tf.function
    def step(batch: Batch, number: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        each = devices.strategy.run(on_device, args=(batch, number, stop))
        return devices.strategy.reduce(tf.distribute.ReduceOp.MEAN, each, axis=None)

    return step


def compile_validation_step(model: keras.Model, devices: Devices) -> ValidationStep:
    """Compiles the step that adds up what validation counts.

    Args:
        model: Maps (slices, 150, 150, 1) float32 in [0, 1] to logits.
        devices: What the step runs on.
    """

    @tf.function(jit_compile=devices.xla)
    def count(batch: Batch) -> tf.Tensor:
        logits = tf.cast(model(normalise(batch["image"]), training=False), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits)
        right = tf.cast(tf.argmax(logits, 1) == batch["label"], tf.float32)
        weight = batch["weight"]
        return tf.stack(
            [
                tf.reduce_sum(weight * losses),
                tf.reduce_sum(weight * right),
                tf.reduce_sum(weight),
            ]
        )

    @tf.function
    def step(batch: Batch) -> tf.Tensor:
        each = devices.strategy.run(count, args=(batch,))
        return devices.strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

    return step


def _gradient(
    model: keras.Model,
    optimizer: keras.Optimizer,
    pieces: int,
    image: tf.Tensor,
    label: tf.Tensor,
    drawn: Augmentation,
    *,
    xla: bool,
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """Mean gradients of a device's batch, its loss and its share of right answers."""
    slices = augment.apply(normalise(image), drawn, xla=xla)
    total: list[tf.Tensor] = []
    counts = []
    for some, truth in zip(
        tf.split(slices, pieces), tf.split(label, pieces), strict=True
    ):
        with tf.GradientTape() as tape:
            logits = tf.cast(model(some, training=True), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            loss = tf.reduce_mean(losses)
            scaled = optimizer.scale_loss(loss / pieces)
        found = tape.gradient(scaled, model.trainable_variables)
        total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        right = tf.cast(tf.argmax(logits, axis=1) == truth, tf.float32)
        counts.append(tf.stack([loss, tf.reduce_mean(right)]))
    loss, right = tf.unstack(tf.add_n(counts) / pieces)
    return total, loss, right


def _all_or_none(gradients: list[tf.Tensor], context: Any) -> list[tf.Tensor]:
    """Gradients that are no numbers on all devices where they are on one.

    The optimizer leaves a step out whose gradients overflow, and asks its own device
    alone: the others would wait for it forever.
    """
    finite = [tf.reduce_all(tf.math.is_finite(each)) for each in gradients]
    broken = tf.cast(tf.logical_not(tf.reduce_all(tf.stack(finite))), tf.float32)
    anywhere = context.all_reduce(tf.distribute.ReduceOp.SUM, broken) > 0
    return [tf.where(anywhere, tf.fill(tf.shape(g), math.nan), g) for g in gradients]


def _step_seed(seed: int, number: tf.Tensor, context: Any) -> tf.Tensor:
    """(2,) int32 of this step and this device."""
    of_step = tf.stack([tf.constant(seed, tf.int32), number])
    return tf.random.fold_in(of_step, context.replica_id_in_sync_group)


def _dropouts(model: keras.Model) -> list[keras.random.SeedGenerator]:
    """Where the network's dropouts take their random numbers from."""
    return [
        layer.seed_generator
        for layer in model.layers
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0
    ]
