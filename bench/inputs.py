"""How fast slices are read: stage by stage, and against every other loader."""

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from bench import ours, rivals, study
from bench.material import Material
from bench.peers import loaders
from bench.results import Row, at_least, informs, unmeasured
from bench.rivals import Rivals
from bench.timing import Contestant, Effort, Rates, here, side_by_side

BATCH: Final = 128
"""Of every loader but the study's generator, which keeps its own 32: it works image by
image, so that its speed does not depend on it."""

_LOADERS: Final = {
    "memmap": "one file of plain uint8, numpy, shuffled as a whole; limit: one copy of "
    "each slice in memory",
    "grain": "ArrayRecord of the same bytes, shuffled as a whole; limit: a random read "
    "and Python for each record",
    "webdataset": "tar of the same bytes, shuffled by file and a buffer; limit: "
    "Python's tarfile and a dictionary for each record",
    "torch_png": "DataLoader on the same slices as PNG, Pillow; limit: opening and "
    "decoding each file",
    "keras_png": "image_dataset_from_directory on the same PNG files; limit: opening, "
    "decoding and resizing each file",
    "study": "the study's ImageDataGenerator on the same PNG files, rescaling alone; "
    "limit: each file in Python on one core",
    "study_augmented": "the study's ImageDataGenerator with its augmentation; limit: "
    "an affine by scipy and noise by numpy for each slice on one core",
}
"""Every other loader, what it does and what bounds it."""


def measure(material: Material, effort: Effort, python: Path) -> list[Row]:
    """Measures all loaders and stages in one run.

    Args:
        material: Its slices.
        effort: How long, and how often.
        python: Interpreter that has the peers.
    """
    with contextlib.ExitStack() as stack:
        found = rivals.start(
            material, BATCH, python, stack, trial=min(1.0, effort.seconds)
        )
        contestants = {**_local(material), **found.contestants}
        rates = side_by_side(contestants, effort)
    terms = f"batch {BATCH}, {material.slices} slices from the page cache, {effort}"
    return [
        _against_study(rates, terms),
        _against_limit(rates, material, terms),
        _against_peers(rates, found, terms),
        *_stages(rates, material, terms),
        *_loaders(rates, found),
    ]


def _against_study(rates: Rates, terms: str) -> Row:
    """Our input without augmentation against the study's generator."""
    return at_least(
        "input.vs_study",
        [rates.ratio("ours", "study_augmented"), rates.ratio("ours", "study")],
        [200, 20],
        f"shards {rates['ours']:.0f} slices/s; the study's ImageDataGenerator with its "
        f"augmentation {rates['study_augmented']:.0f}, without {rates['study']:.0f} "
        f"(batch {study.BATCH}); limit: both parse or decode on the cores, ours "
        f"{rates.cores('ours'):.1f} of them busy; {terms}",
    )


def _against_limit(rates: Rates, material: Material, terms: str) -> Row:
    """Our input against reading the same files with nothing but batches."""
    megabytes = ours.record_bytes(material.shards) / 1e6
    return at_least(
        "input.vs_limit",
        [rates.ratio("ours", "read")],
        [0.6],
        f"shuffled and parsed {rates['ours']:.0f} slices/s "
        f"({rates['ours'] * megabytes:.0f} MB/s of records), TFRecordDataset.batch."
        f"prefetch {rates['read']:.0f} ({rates['read'] * megabytes:.0f} MB/s); limit: "
        f"that read; {terms}",
    )


def _against_peers(rates: Rates, found: Rivals, terms: str) -> Row:
    """Our input against the fastest loader of the same records."""
    missing = [name for name in rivals.OF_RECORDS if name in found.reasons]
    if missing:
        reasons = "; ".join(found.reasons[name] for name in missing)
        return unmeasured("input.vs_peers", "≥ 1", reasons)
    ratios = {name: rates.ratio("ours", name) for name in rivals.OF_RECORDS}
    against = ", ".join(
        f"{name} {rates[name]:.0f} ({found.workers[name]} workers)" for name in ratios
    )
    return at_least(
        "input.vs_peers",
        [min(ratios.values())],
        [1],
        f"uint8 arrays with labels, shuffled: ours {rates['ours']:.0f} slices/s, "
        f"{against}; workers are the best of {rivals.WORKERS}; limit: ours the read of "
        f"the records ({rates['read']:.0f}), theirs Python for each record; {terms}",
    )


def _stages(rates: Rates, material: Material, terms: str) -> Iterator[Row]:
    """Reading, and what each further stage takes away from it."""
    megabytes = ours.record_bytes(material.shards) / 1e6
    work = {
        "read": f"TFRecordDataset.batch.prefetch, {rates['read'] * megabytes:.0f} MB/s;"
        " limit: checksum and copy of each record",
        "parse": "read, then parse_example and decode_raw of whole batches; limit: two "
        "copies of the pixels",
        "shuffle": "read through the 16 MiB buffer, not parsed; limit: the read",
    }
    for name, text in work.items():
        yield informs(
            f"stage.{name}",
            rates[name],
            f"slices/s; {text}; {rates[name] / rates['read']:.0%} of reading alone, "
            f"{rates.cores(name):.1f} cores busy; {terms}",
        )


def _loaders(rates: Rates, found: Rivals) -> Iterator[Row]:
    """Every other loader's speed, or why there is none."""
    for name, text in _LOADERS.items():
        if name in found.reasons:
            yield unmeasured(f"loader.{name}", "-", found.reasons[name])
            continue
        workers = found.workers.get(name)
        hands = "" if workers is None else f"; {workers} workers"
        yield informs(
            f"loader.{name}",
            rates[name],
            f"slices/s; {text}{hands}; ours {rates.ratio('ours', name):.3g} times that",
        )


def _local(material: Material) -> Mapping[str, Contestant]:
    """The contestants of this process."""
    shards, forms = material.shards, material.forms.folder
    return {
        "ours": here(lambda: _arrays(ours.batches(shards, BATCH))),
        "read": here(lambda: _passed(ours.records(shards, BATCH))),
        "parse": here(lambda: _arrays(ours.parsed(shards, BATCH))),
        "shuffle": here(lambda: _passed(ours.shuffled(shards, BATCH))),
        "study": here(lambda: _study(material.png, augment=False)),
        "study_augmented": here(lambda: _study(material.png, augment=True)),
        "keras_png": here(lambda: _arrays(_keras(material.png))),
        "memmap": here(loaders.starter("memmap", forms, batch=BATCH, workers=0)),
    }


def _passed(batches: Any) -> Iterator[int]:
    """Takes batches of serialised records as they come."""
    for _ in batches:
        yield BATCH


def _arrays(batches: Any) -> Iterator[int]:
    """Takes batches as numpy arrays, as every other loader gives them."""
    for batch in batches.as_numpy_iterator():
        images = batch["image"] if isinstance(batch, dict) else batch[0]
        yield len(images)


def _study(png: Path, *, augment: bool) -> Iterator[int]:
    for images, _ in study.generator(png, augment=augment):
        yield len(images)


def _keras(png: Path) -> Any:
    """Keras' own loader, prefetching as its guide says."""
    with contextlib.redirect_stdout(io.StringIO()):  # It prints a count.
        batches = tf.keras.utils.image_dataset_from_directory(
            str(png),
            color_mode="grayscale",
            image_size=(study.SIDE, study.SIDE),
            batch_size=BATCH,
            shuffle=True,
            seed=0,
        )
    return batches.repeat().prefetch(tf.data.AUTOTUNE)
