import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.contrasts import CLASSES
from pipeline.dataset import evaluation_batches, training_batches
from pipeline.manifest import Manifest
from pipeline.share import steps_per_epoch

Built = tuple[Path, Manifest]
Batch = dict[str, np.ndarray]


def take(count: int, batches: tf.data.Dataset) -> list[Batch]:
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def same(one: list[Batch], other: list[Batch]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a[key], b[key]) for a, b in pairs for key in a)


def test_training_batches_have_one_static_shape(shards: Built) -> None:
    batches = training_batches(shards[0], batch_size=8, seed=0)
    spec: Any = batches.element_spec
    assert spec["image"].shape == (8, 150, 150)
    assert spec["image"].dtype == tf.uint8
    assert spec["label"].shape == (8,)
    assert spec["label"].dtype == tf.int64
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY
    first = take(1, batches)[0]
    assert first["image"].max() > 100
    assert set(first["label"]) <= set(range(len(CLASSES)))


def test_an_epoch_holds_every_example_once_where_batches_divide_it(
    shards: Built,
) -> None:
    batches = take(10, training_batches(shards[0], batch_size=8, seed=3))
    epochs = [batches[:5], batches[5:]]
    pictures = [
        Counter(image.tobytes() for batch in epoch for image in batch["image"])
        for epoch in epochs
    ]
    assert pictures[0] == pictures[1]
    assert sum(pictures[0].values()) == 40 == len(pictures[0])
    assert not same(*epochs)


def test_what_does_not_fill_a_batch_is_left_out_of_the_epoch(shards: Built) -> None:
    assert steps_per_epoch(shards[1], 12) == 3
    batches = take(6, training_batches(shards[0], batch_size=12, seed=3))
    for epoch in (batches[:3], batches[3:]):
        pictures = {image.tobytes() for batch in epoch for image in batch["image"]}
        assert len(pictures) == 36


def test_order_is_a_function_of_seed_and_epoch(shards: Built) -> None:
    folder, _ = shards
    straight = take(15, training_batches(folder, batch_size=8, seed=1))
    tf.random.set_seed(99)
    again = take(15, training_batches(folder, batch_size=8, seed=1))
    third = take(5, training_batches(folder, batch_size=8, seed=1, first_epoch=2))
    other = take(15, training_batches(folder, batch_size=8, seed=2))
    assert same(straight, again)
    assert same(straight[10:], third)
    assert not same(straight, other)


def test_labels_stay_with_their_images(shards: Built) -> None:
    folder, _ = shards
    truth = {
        image.tobytes(): label
        for batch in take(9, evaluation_batches(folder, "train", batch_size=5))
        for image, label in zip(batch["image"], batch["label"], strict=True)
    }
    for batch in take(5, training_batches(folder, batch_size=8, seed=0)):
        for image, label in zip(batch["image"], batch["label"], strict=True):
            assert truth[image.tobytes()] == label


def test_evaluation_gives_every_example_once_in_order(shards: Built) -> None:
    folder, manifest = shards
    batches = evaluation_batches(folder, "train", batch_size=16)
    assert batches.cardinality() == 3
    found = list(batches.as_numpy_iterator())
    assert [len(batch["label"]) for batch in found] == [16, 16, 8]
    assert same(found, list(batches.as_numpy_iterator()))
    scans = np.concatenate([batch["scan"] for batch in found])
    assert len(set(scans)) == manifest.count("train") == 40
    assert {name for batch in found for name in batch["source"]} == {b"scans"}
    assert len({name for batch in found for name in batch["subject"]}) == 10


def test_evaluation_fails_where_the_manifest_counts_another_number(
    shards: Built,
) -> None:
    path = shards[0] / "manifest.json"
    content = json.loads(path.read_text())
    content["slices"]["train"]["T1"] += 1
    path.write_text(json.dumps(content))
    batches = evaluation_batches(shards[0], "train", batch_size=16)
    with pytest.raises(tf.errors.OpError, match="expected to contain 41 elements"):
        list(batches.as_numpy_iterator())


def test_a_batch_larger_than_the_training_split_is_refused(shards: Built) -> None:
    with pytest.raises(ValueError, match="from 1 to the 40 training slices, got 64"):
        training_batches(shards[0], batch_size=64, seed=0)


def test_an_unknown_or_empty_split_is_refused(shards: Built) -> None:
    with pytest.raises(ValueError, match="hold no 'dev' slices, only train"):
        evaluation_batches(shards[0], "dev", batch_size=4)
