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
from pipeline.losses import losses, truths_of
from pipeline.scoring import normalise

WARM_UP: Final = 0.05
"""Share of the steps over which the learning rate rises."""

Batch: TypeAlias = Mapping[str, tf.Tensor]

TrainStep: TypeAlias = Callable[[Batch, tf.Tensor, tf.Tensor], tf.Tensor]
"""(batch, number of the step, 1 where this host was told to stop) to (3,) float32:
loss of the class, share of right answers, share of hosts that were told to stop."""

ValidationStep: TypeAlias = Callable[[Batch], tf.Tensor]
"""A batch to (3,) float32: summed loss of the class, right answers, slices."""


@dataclasses.dataclass(frozen=True, slots=True)
class StepConfig:
    """What decides a step besides the network and the batch.

    Attributes:
        augment: How far slices are changed.
        slices: In each device's batch.
        pieces: The gradient is added up over so many parts of that batch, one after
            the other, so that a batch need not fit into the device at once.
        seed: With the number of the step, what everything random is drawn from.
        heads_weight: What the losses of plane and gadolinium count, against 1 for
            that of the class.
    """

    augment: AugmentConfig
    slices: int
    pieces: int = 1
    seed: int = 0
    heads_weight: float = 0.1

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
        model: Of `pipeline.model`, or one that answers as it does.
        optimizer: Built for the model.
        devices: What the step runs on.
        config: The rest.
    """
    gradient = tf.function(
        lambda image, truth, drawn: _gradient(
            model, optimizer, config, image, truth, drawn, xla=devices.xla
        ),
        jit_compile=devices.xla,
    )
    dropouts, truths = _dropouts(model), truths_of(model)
    sums = [v for v in model.non_trainable_variables if v.dtype == "float32"]

    def on_device(batch: Batch, number: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        seeds = tf.random.split(_step_seed(config.seed, number, context), 2)
        for index, dropout in enumerate(dropouts):
            drawn = tf.random.fold_in(seeds[1], index)
            dropout.state.assign(tf.bitcast(drawn, tf.uint32))
        drawn = augment.sample(config.augment, config.slices, seeds[0])
        truth = {name: batch[name] for name in truths}
        gradients, loss, right = gradient(batch["image"], truth, drawn)
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
        model: Of `pipeline.model`, or one that answers as it does.
        devices: What the step runs on.
    """

    @tf.function(jit_compile=devices.xla)
    def count(batch: Batch) -> tf.Tensor:
        logits = model(normalise(batch["image"]), training=False)["logits"]
        loss = losses({"logits": logits}, batch)["label"]
        right = tf.cast(tf.argmax(logits, 1) == batch["label"], tf.float32)
        weight = batch["weight"]
        return tf.stack(
            [
                tf.reduce_sum(weight * loss),
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
    config: StepConfig,
    image: tf.Tensor,
    truth: Batch,
    drawn: Augmentation,
    *,
    xla: bool,
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """Mean gradients of a device's batch, its loss and its share of right answers.

    Of the heads, too, the mean over all slices counts, unknown ones included: the
    gradient is the same in whatever parts it is added up.
    """
    slices = augment.apply(normalise(image), drawn, xla=xla)
    pieces = config.pieces
    parts = {name: tf.split(values, pieces) for name, values in truth.items()}
    total: list[tf.Tensor] = []
    counts = []
    for number, some in enumerate(tf.split(slices, pieces)):
        known = {name: values[number] for name, values in parts.items()}
        with tf.GradientTape() as tape:
            outputs = model(some, training=True)
            means = {
                name: tf.reduce_mean(each)
                for name, each in losses(outputs, known).items()
            }
            loss = means.pop("label")
            whole = tf.add_n([loss, *(config.heads_weight * m for m in means.values())])
            scaled = optimizer.scale_loss(whole / pieces)
        found = tape.gradient(scaled, model.trainable_variables)
        total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        said = tf.argmax(outputs["logits"], axis=1)
        right = tf.cast(said == known["label"], tf.float32)
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
