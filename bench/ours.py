"""What of the pipeline is measured: the one place where the benches call it."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import augment, scoring
from pipeline.augment import AugmentConfig
from pipeline.dataset import (
    PREFETCH,
    SHUFFLE_BYTES,
    evaluation_batches,
    options,
    training_batches,
)
from pipeline.devices import open_devices
from pipeline.hyper import HyperParameters
from pipeline.manifest import load_manifest
from pipeline.model import build
from pipeline.records import RECORD_BYTES, parse
from pipeline.step import (
    StepConfig,
    TrainStep,
    build_optimizer,
    compile_train_step,
    cosine_schedule,
)
from pipeline.train import TrainConfig

BATCH: Final = TrainConfig().batch_size
"""Of training, as it is by default."""

EVALUATION_BATCH: Final = 256

Batch: TypeAlias = dict[str, tf.Tensor]


def batches(shards: Path, batch: int = BATCH) -> tf.data.Dataset:
    """The training input: endless, shuffled, parsed."""
    return training_batches(shards, batch_size=batch, seed=0)


def records(shards: Path, batch: int) -> tf.data.Dataset:
    """Batches of the same records, endless, in order and not parsed: the limit."""
    names = [str(shards / shard.file) for shard in _training(shards)]
    return _plain(tf.data.TFRecordDataset(names).repeat(), batch)


def parsed(shards: Path, batch: int) -> tf.data.Dataset:
    """The records, parsed."""
    return records(shards, batch).map(parse, num_parallel_calls=2).prefetch(PREFETCH)


def shuffled(shards: Path, batch: int) -> tf.data.Dataset:
    """The records, through a shuffle buffer of the input's size."""
    names = [str(shards / shard.file) for shard in _training(shards)]
    buffer = SHUFFLE_BYTES // RECORD_BYTES
    return _plain(tf.data.TFRecordDataset(names).repeat().shuffle(buffer, 0), batch)


def record_bytes(shards: Path) -> float:
    """Mean size of a record."""
    files = _training(shards)
    return sum(file.bytes for file in files) / sum(file.records for file in files)


def every_slice(
    shards: Path, split: str
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Batches of every slice of a split and its label, once."""
    for found in evaluation_batches(shards, split, batch_size=EVALUATION_BATCH):
        yield found["image"].numpy(), found["label"].numpy()


@dataclasses.dataclass(slots=True)
class Training:
    """A network and its compiled step, as `pipeline.train` makes them.

    Attributes:
        model: Of the default hyper-parameters.
        step: Augments, learns and counts.
        number: Of the next step.
    """

    model: keras.Model
    step: TrainStep
    number: int = 0

    def learn(self, batch: Batch) -> float:
        """One step and its loss, which it waits for; the loop waits for ten at once."""
        stop = tf.constant(0.0)
        result = self.step(batch, tf.constant(self.number, tf.int32), stop)
        self.number += 1
        return float(result[0])


def training(steps: int) -> Training:
    """Builds a network to be trained for a number of steps."""
    default = TrainConfig()
    devices = open_devices()
    with devices.strategy.scope():
        model = build(HyperParameters(), seed=0, precision=devices.precision)
        optimizer = build_optimizer(
            model,
            cosine_schedule(default.learning_rate, steps),
            weight_decay=default.weight_decay,
            precision=devices.precision,
        )
    step = StepConfig(AugmentConfig(), BATCH)
    return Training(model, compile_train_step(model, optimizer, devices, step))


def in_memory(shards: Path, count: int = 8) -> Iterator[Batch]:
    """The first training batches again and again, already where the step runs."""
    held: list[Batch] = []
    for batch in itertools.islice(batches(shards), count):
        held.append({name: tf.identity(value) for name, value in batch.items()})
    return itertools.cycle(held)


def augmentation() -> Callable[[Batch, int], Any]:
    """Compiles the augmentation alone, of a training batch and a number."""

    @tf.function
    def augmented(image: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([0, number])
        drawn = augment.sample(AugmentConfig(), BATCH, seed)
        return augment.apply(scoring.normalise(image), drawn)

    return lambda batch, number: augmented(batch["image"], tf.constant(number))


def evaluation(
    model: keras.Model,
) -> Callable[[Path], Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]]:
    """Compiles a pass over the test split: batches of logits and labels."""
    forward = scoring.forward_pass(model)

    def run(shards: Path) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        for batch in evaluation_batches(shards, "test", batch_size=EVALUATION_BATCH):
            yield forward(batch["image"]).numpy(), batch["label"].numpy()

    return run


def _training(shards: Path) -> Any:
    return load_manifest(shards).of_split("train")


def _plain(dataset: Any, batch: int) -> tf.data.Dataset:
    batched = dataset.batch(batch, drop_remainder=True).prefetch(PREFETCH)
    return batched.with_options(options())
