import itertools
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.contrasts import CLASSES
from pipeline.dataset import (
    PREFETCH,
    evaluation_batches,
    explained_damage,
    training_batches,
    validation_batches,
)
from pipeline.devices import open_devices
from pipeline.labelled import UNKNOWN
from pipeline.manifest import Manifest
from pipeline.records import parse
from pipeline.share import Share, steps_per_epoch

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
    for name in ("label", "plane", "gadolinium"):
        assert spec[name].shape == (8,)
        assert spec[name].dtype == tf.int64
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


@pytest.mark.parametrize(("epoch", "step"), [(0, 0), (0, 3), (1, 2), (2, 5)])
def test_reading_from_a_position_is_reading_on(
    shards: Built, epoch: int, step: int
) -> None:
    folder, _ = shards
    straight = take(20, training_batches(folder, batch_size=8, seed=1))
    later = training_batches(
        folder, batch_size=8, seed=1, first_epoch=epoch, first_step=step
    )
    rest = straight[5 * epoch + step :]
    assert same(rest, take(len(rest), later))


def test_devices_read_different_slices_and_together_all(shards: Built) -> None:
    folder, _ = shards
    for epoch in (0, 1):
        read = [
            {
                image.tobytes()
                for batch in take(
                    4,
                    training_batches(
                        folder,
                        batch_size=5,
                        seed=1,
                        first_epoch=epoch,
                        share=Share(index, 2),
                    ),
                )
                for image in batch["image"]
            }
            for index in range(2)
        ]
        assert [len(each) for each in read] == [20, 20]
        assert len(read[0] | read[1]) == 40


def test_an_epoch_of_unequal_shards_has_the_steps_that_every_device_can_take(
    shards: Built,
) -> None:
    sizes = [shard.records for shard in shards[1].of_split("train")]
    assert sizes == [10] * 4
    assert steps_per_epoch(shards[1], 5, shares=3) == 2
    assert steps_per_epoch(shards[1], 5, shares=2) == 4
    with pytest.raises(ValueError, match="5 devices cannot share 4 training shards"):
        steps_per_epoch(shards[1], 1, shares=5)


def test_validation_counts_every_example_once_over_all_devices(shards: Built) -> None:
    folder, manifest = shards
    total = manifest.count("validation")
    truth = take(9, evaluation_batches(folder, "validation", batch_size=total))[0]
    for count in (1, 2, 3):
        read = [
            list(
                validation_batches(
                    folder, batch_size=3, share=Share(index, count)
                ).as_numpy_iterator()
            )
            for index in range(count)
        ]
        assert len({len(batches) for batches in read}) == 1
        for batch in itertools.chain.from_iterable(read):
            filling = batch["weight"] == 0
            assert (batch["plane"][filling] == UNKNOWN).all()
            assert (batch["gadolinium"][filling] == UNKNOWN).all()
        examples = [
            image.tobytes()
            for batches in read
            for batch in batches
            for image, weight in zip(batch["image"], batch["weight"], strict=True)
            if weight
        ]
        assert sorted(examples) == sorted(image.tobytes() for image in truth["image"])


def test_the_next_batch_is_on_its_way_while_a_step_runs(
    shards: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = threading.Semaphore(0)

    def counted(records: tf.Tensor) -> tf.Tensor:
        parsed.release()
        return records

    def parse_and_tell(records: tf.Tensor, *tags: str) -> dict[str, tf.Tensor]:
        told = tf.py_function(counted, [records], tf.string)
        return parse(tf.ensure_shape(told, records.shape), *tags)

    monkeypatch.setattr("pipeline.dataset.parse", parse_and_tell)
    data = training_batches(shards[0], batch_size=8, seed=0)
    (batches,) = open_devices().iterate([data])
    next(batches)
    # The step of this batch has not even begun, and nobody asked for another one.
    for _ in range(1 + PREFETCH):
        assert parsed.acquire(timeout=60)


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


def test_a_shard_that_vanishes_while_it_is_read_is_damage(shards: Built) -> None:
    folder, manifest = shards
    batches = evaluation_batches(folder, "train", batch_size=16)
    (folder / manifest.of_split("train")[1].file).unlink()
    with (
        pytest.raises(ValueError, match=r"damaged.*make verify.*make shards"),
        explained_damage(folder),
    ):
        list(batches)
