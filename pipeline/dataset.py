"""The tf.data input: from shards to batches, in an order that can be repeated."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import tensorflow as tf

from mri_contrast.slices import SIZE
from pipeline.labelled import UNKNOWN
from pipeline.manifest import Shard, load_manifest
from pipeline.records import MAYBE_UNKNOWN, RECORD_BYTES, TAGS, TRUTHS, parse
from pipeline.share import WHOLE, Share, steps_per_epoch

SHUFFLE_BYTES: Final = 16 * 2**20
"""Encoded records wait here to be shuffled: the bound of the input's memory. Shards
are shuffled when they are written and mixed by the readers; 64 MiB cost a tenth of
the throughput."""

READERS: Final = 4
"""Shards read side by side; each gives its records in blocks of `BLOCK`."""

BLOCK: Final = 16
READ_BYTES: Final = 2**18

PARALLEL: Final = min(READERS, os.cpu_count() or 1)
"""Threads that read, and that parse. It moves no record to another place."""

PREFETCH: Final = 2
"""Batches ready ahead of the step. Left to AUTOTUNE it grows until memory is gone."""


def options() -> tf.data.Options:
    """Returns the options of every data set: the one place where they are set."""
    chosen = tf.data.Options()
    chosen.deterministic = True
    # All numbers are fixed above: tuning them on the way costs 7 % and memory.
    chosen.autotune.enabled = False
    # In the common pool, input waits behind the step's operations and they behind it:
    # on two cores, training ran at 0.975 instead of 0.99 of the step's own speed.
    chosen.threading.private_threadpool_size = max(1, (os.cpu_count() or 1) // 2)
    # Shards are shared out by name; a strategy must not do it a second time.
    chosen.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return chosen


def training_batches(
    folder: Path,
    *,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    first_step: int = 0,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Returns endless shuffled training batches, all of the same size.

    An epoch is `steps_per_epoch` batches; the few examples that do not fill the last
    batch are left out, other ones each time. The order is a pure function of seed,
    epoch and share: reading from (epoch, step) on gives what an uninterrupted reading
    gives from there. Names of shards are shuffled, then shared out, then read, so that
    no device reads what another one uses. Memory is bounded by `SHUFFLE_BYTES`,
    however much data there is.

    Args:
        folder: Shards with their manifest.
        batch_size: Slices a batch, of this share alone.
        seed: Another seed gives another order.
        first_epoch: Epoch to begin with, from 0.
        first_step: Batches of that epoch to leave out, since they were used before.
        share: Which of the devices reads.

    Returns:
        Batches of `image` (batch_size, 150, 150) uint8, and `label`, `plane`,
        `gadolinium` (batch_size,) int64, the last two -1 where unknown.

    Raises:
        ValueError: There are fewer training slices than one batch holds, or fewer
            shards than devices.
    """
    manifest = load_manifest(folder)
    steps = steps_per_epoch(manifest, batch_size, share.count)
    names = _names(folder, manifest.of_split("train"))
    buffer = min(manifest.count("train"), SHUFFLE_BYTES // RECORD_BYTES)
    begin = tf.constant(first_epoch, tf.int64)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # Within this function alone: else `tf.random.set_seed` anywhere in the program
        # would change the order.
        tf.compat.v1.set_random_seed(1)
        key = tf.stack([tf.constant(seed, tf.int64), number])
        shuffled = tf.random.experimental.stateless_shuffle(names, seed=key)
        return (
            tf.data.Dataset.from_tensor_slices(shuffled[share.index :: share.count])
            .interleave(
                _read,
                cycle_length=READERS,
                block_length=BLOCK,
                num_parallel_calls=PARALLEL,
            )
            .shuffle(buffer, seed=_mixed(key), reshuffle_each_iteration=False)
            .batch(batch_size, drop_remainder=True)
            .take(steps)
            .skip(tf.where(number == begin, tf.constant(first_step, tf.int64), 0))
        )

    return (
        tf.data.Dataset.counter(first_epoch)
        .flat_map(epoch)
        .apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        .map(lambda batch: parse(batch), num_parallel_calls=PARALLEL)
        .prefetch(PREFETCH)
        .with_options(options())
    )


def evaluation_batches(folder: Path, split: str, *, batch_size: int) -> tf.data.Dataset:
    """Returns every example of a split once, in the order of the shards.

    The last batch may be short. Reading fails where the number of examples differs
    from the manifest's.

    Args:
        folder: Shards with their manifest.
        split: `train`, `validation` or `test`.
        batch_size: Slices a batch.

    Returns:
        Batches of `image` (batch, 150, 150) uint8, `label`, `plane`, `gadolinium`
        (batch,) int64, and `subject`, `source`, `scan` (batch,) strings.

    Raises:
        ValueError: The split is unknown or empty.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    manifest = load_manifest(folder)
    shards = manifest.of_split(split)
    return _ordered(folder, shards, manifest.count(split), batch_size, TAGS)


def validation_batches(
    folder: Path, *, batch_size: int, share: Share
) -> tf.data.Dataset:
    """Returns one device's share of the validation split, each example once.

    All shares give the same number of batches, since devices work in step; where a
    share has no example left, `weight` is 0.

    Args:
        folder: Shards with their manifest.
        batch_size: Slices a batch, of this share alone.
        share: Which of the devices reads.

    Returns:
        Batches of `image` (batch_size, 150, 150) uint8, `label`, `plane`, `gadolinium`
        (batch_size,) int64 and `weight` (batch_size,) float32, 1 for an example and 0
        for filling, whose plane and gadolinium are unknown.

    Raises:
        ValueError: The split is empty.
    """
    shards = load_manifest(folder).of_split("validation")
    counts = [
        sum(shard.records for shard in shards[index :: share.count])
        for index in range(share.count)
    ]
    steps = -(-max(counts) // batch_size)
    mine = shards[share.index :: share.count]
    spec = {
        "image": tf.zeros((batch_size, SIZE, SIZE), tf.uint8),
        "weight": tf.zeros((batch_size,)),
        **{
            name: tf.fill((batch_size,), tf.constant(_filling(name), tf.int64))
            for name in TRUTHS
        },
    }
    filling = tf.data.Dataset.from_tensors(spec).repeat()
    if not counts[share.index]:
        return filling.take(steps).with_options(options())
    batches = _ordered(folder, mine, counts[share.index], batch_size)
    filled = batches.map(lambda batch: _filled(batch, batch_size))
    return filled.concatenate(filling).take(steps).with_options(options())


@contextlib.contextmanager
def explained_damage(folder: Path) -> Iterator[None]:
    """Turns TensorFlow's report of a damaged record into one that says what to do.

    Raises:
        ValueError: A shard that was read within is damaged.
    """
    try:
        yield
    except (
        tf.errors.DataLossError,
        tf.errors.NotFoundError,
        tf.errors.FailedPreconditionError,  # fewer or more records than noted
    ) as error:
        raise ValueError(
            f"a shard in {folder} is damaged ({_plain(error)}); `make verify` names "
            "what is, `make shards` as it was called before repairs that alone"
        ) from None


def _plain(error: tf.errors.OpError) -> str:
    """TensorFlow's message without the names of its functions and operations."""
    return re.sub(r"\{\{.*?\}\} ?| ?\[(Op:|\[).*", "", error.message.splitlines()[0])


def _ordered(
    folder: Path,
    shards: Sequence[Shard],
    count: int,
    batch_size: int,
    tags: Sequence[str] = (),
) -> tf.data.Dataset:
    """Batches of every example of some shards once; fails where `count` is another."""
    return (
        _read(_names(folder, shards))
        .apply(tf.data.experimental.assert_cardinality(count))
        .batch(batch_size)
        .map(lambda batch: parse(batch, tags), num_parallel_calls=PARALLEL)
        .prefetch(PREFETCH)
        .with_options(options())
    )


def _filled(batch: dict[str, tf.Tensor], batch_size: int) -> dict[str, tf.Tensor]:
    """A batch at its full size; `weight` tells examples from filling."""
    count = tf.shape(batch["label"])[0]
    missing = batch_size - count
    image = tf.pad(batch["image"], ((0, missing), (0, 0), (0, 0)))
    filled = {
        "image": tf.ensure_shape(image, (batch_size, SIZE, SIZE)),
        "weight": tf.sequence_mask(count, batch_size, tf.float32),
    }
    for name in TRUTHS:
        truth = tf.pad(batch[name], ((0, missing),), constant_values=_filling(name))
        filled[name] = tf.ensure_shape(truth, batch_size)
    return filled


def _filling(truth: str) -> int:
    return UNKNOWN if truth in MAYBE_UNKNOWN else 0


def _names(folder: Path, shards: Sequence[Shard]) -> list[str]:
    return [str(folder / shard.file) for shard in shards if shard.records]


def _read(names: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(names, buffer_size=READ_BYTES)


def _mixed(key: tf.Tensor) -> tf.Tensor:
    """Draws one int64 seed from (seed, epoch), so that neighbours share nothing."""
    return tf.random.stateless_uniform(
        (), seed=key, minval=None, maxval=None, dtype=tf.int64
    )
