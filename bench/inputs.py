"""How fast slices are read: against the study's generator and the plain read."""

import contextlib
import io
import math
from collections.abc import Iterator
from typing import Any, Final

import tensorflow as tf

from bench import study
from bench.material import Material
from bench.results import Row, at_least
from bench.timing import Effort, side_by_side
from pipeline.dataset import PREFETCH, options, training_batches
from pipeline.manifest import load_manifest

BATCH: Final = 128
"""Of our input and of the plain read. The study's generator keeps its own 32: it works
image by image, so that its speed does not depend on it."""


def against_study(material: Material, effort: Effort) -> Row:
    """Our input without augmentation against the study's generator."""
    rates = side_by_side(
        {
            "ours": lambda: _ours(material),
            "with": lambda: _study(material, augment=True),
            "without": lambda: _study(material, augment=False),
        },
        effort,
    )
    return at_least(
        "input.vs_study",
        [rates["ours"] / rates["with"], rates["ours"] / rates["without"]],
        [200, 20],
        f"shards {rates['ours']:.0f} slices/s; the study's ImageDataGenerator with its "
        f"augmentation {rates['with']:.0f}, without {rates['without']:.0f} (batch "
        f"{study.BATCH}); "
        f"{_terms(material, effort)}",
    )


def against_limit(material: Material, effort: Effort) -> Row:
    """Our input against reading the same files with nothing but batches."""
    rates = side_by_side(
        {
            "ours": lambda: _ours(material),
            "limit": lambda: _plain_read(material),
        },
        effort,
    )
    megabytes = _record_bytes(material) / 1e6
    return at_least(
        "input.vs_limit",
        [rates["ours"] / rates["limit"]],
        [0.6],
        f"shuffled and parsed {rates['ours']:.0f} slices/s "
        f"({rates['ours'] * megabytes:.0f} MB/s of records), TFRecordDataset.batch."
        f"prefetch {rates['limit']:.0f} ({rates['limit'] * megabytes:.0f} MB/s); "
        f"{_terms(material, effort)}",
    )


def _ours(material: Material) -> Iterator[int]:
    for _ in training_batches(material.shards, batch_size=BATCH, seed=0):
        yield BATCH


def _study(material: Material, *, augment: bool) -> Iterator[int]:
    with contextlib.redirect_stdout(io.StringIO()):  # It prints a count each time.
        batches = study.generator(material.png, augment=augment)
    for images, _ in batches:
        yield len(images)


def _plain_read(material: Material) -> Iterator[int]:
    shards = load_manifest(material.shards).of_split("train")
    files = [str(material.shards / shard.file) for shard in shards]
    records: Any = tf.data.TFRecordDataset(files).repeat()
    batches = records.batch(BATCH, drop_remainder=True).prefetch(PREFETCH)
    for _ in batches.with_options(options()):
        yield BATCH


def _record_bytes(material: Material) -> float:
    shards = load_manifest(material.shards).of_split("train")
    size = math.fsum(shard.bytes for shard in shards)
    return size / sum(shard.records for shard in shards)


def _terms(material: Material, effort: Effort) -> str:
    return f"batch {BATCH}, {material.slices} slices from the page cache, {effort}"
