"""The tf.data input: from shards to batches, in an order that can be repeated."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import tensorflow as tf

from mri_contrast.slices import SIZE
from pipeline.manifest import Manifest, Shard, load_manifest
from pipeline.records import IMAGE_BYTES

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

_RECORD_BYTES: Final = IMAGE_BYTES + 200

_IMAGE_AND_LABEL: Final = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}
_TAGS: Final = {
    name: tf.io.FixedLenFeature([], tf.string) for name in ("subject", "source", "scan")
}


def options() -> tf.data.Options:
    """Returns the options of every data set: the one place where they are set."""
    chosen = tf.data.Options()
    chosen.deterministic = True
    # All numbers are fixed above: tuning them on the way costs 7 % and memory.
    chosen.autotune.enabled = False
    # Shards are shared out by name; a strategy must not do it a second time.
    chosen.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return chosen


def training_batches(
    folder: Path, *, batch_size: int, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Returns endless shuffled training batches, all of the same size.

    An epoch is `steps_per_epoch` batches; the few examples that do not fill the last
    batch are left out, other ones each time. The order is a pure function of seed and
    epoch. Memory is bounded by `SHUFFLE_BYTES`, however much data there is.

    Args:
        folder: Shards with their manifest.
        batch_size: Slices a batch.
        seed: Another seed gives another order.
        first_epoch: Epoch to begin with.

    Returns:
        Batches of `{"image": (batch_size, 150, 150) uint8, "label": (batch_size,)
        int64}`.

    Raises:
        ValueError: There are fewer training slices than one batch holds.
    """
    manifest = load_manifest(folder)
    steps_per_epoch(manifest, batch_size)
    names = _names(folder, manifest.of_split("train"))
    buffer = min(manifest.count("train"), SHUFFLE_BYTES // _RECORD_BYTES)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # Within this function alone: else `tf.random.set_seed` anywhere in the program
        # would change the order.
        tf.compat.v1.set_random_seed(1)
        key = tf.stack([tf.constant(seed, tf.int64), number])
        shuffled = tf.random.experimental.stateless_shuffle(names, seed=key)
        return (
            tf.data.Dataset.from_tensor_slices(shuffled)
            .interleave(
                _read,
                cycle_length=READERS,
                block_length=BLOCK,
                num_parallel_calls=PARALLEL,
            )
            .shuffle(buffer, seed=_mixed(key), reshuffle_each_iteration=False)
            .batch(batch_size, drop_remainder=True)
        )

    return (
        tf.data.Dataset.counter(first_epoch)
        .flat_map(epoch)
        .apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        .map(lambda batch: _parse(batch, {}), num_parallel_calls=PARALLEL)
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
        Batches of `image` (batch, 150, 150) uint8, `label` (batch,) int64, and
        `subject`, `source`, `scan` (batch,) strings.

    Raises:
        ValueError: The split is unknown or empty.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    manifest = load_manifest(folder)
    shards = manifest.of_split(split)
    return (
        _read(_names(folder, shards))
        .apply(tf.data.experimental.assert_cardinality(manifest.count(split)))
        .batch(batch_size)
        .map(lambda batch: _parse(batch, _TAGS), num_parallel_calls=PARALLEL)
        .prefetch(PREFETCH)
        .with_options(options())
    )


@contextlib.contextmanager
def explained_damage(folder: Path) -> Iterator[None]:
    """Turns TensorFlow's report of a damaged record into one that says what to do.

    Raises:
        ValueError: A shard that was read within is damaged.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise ValueError(
            f"a shard in {folder} is damaged ({error.message}); build the shards again "
            "(`make shards`): those that are whole are kept"
        ) from None


def steps_per_epoch(manifest: Manifest, batch_size: int) -> int:
    """Returns the number of full training batches in an epoch.

    Raises:
        ValueError: There is not a single one.
    """
    count = manifest.count("train")
    if not 1 <= batch_size <= count:
        raise ValueError(
            f"batch_size must be from 1 to the {count} training slices, got "
            f"{batch_size}; lower it or build shards from more scans"
        )
    return count // batch_size


def _names(folder: Path, shards: Sequence[Shard]) -> list[str]:
    return [str(folder / shard.file) for shard in shards if shard.records]


def _read(names: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(names, buffer_size=READ_BYTES)


def _parse(
    batch: tf.Tensor, tags: Mapping[str, tf.io.FixedLenFeature]
) -> dict[str, tf.Tensor]:
    """Parses a whole batch by one operation a feature, not record by record."""
    features = tf.io.parse_example(batch, {**_IMAGE_AND_LABEL, **tags})
    pixels = tf.io.decode_raw(features["image"], tf.uint8)
    features["image"] = tf.ensure_shape(
        tf.reshape(pixels, (-1, SIZE, SIZE)), (batch.shape[0], SIZE, SIZE)
    )
    return dict(features)


def _mixed(key: tf.Tensor) -> tf.Tensor:
    """Draws one int64 seed from (seed, epoch), so that neighbours share nothing."""
    return tf.random.stateless_uniform(
        (), seed=key, minval=None, maxval=None, dtype=tf.int64
    )
