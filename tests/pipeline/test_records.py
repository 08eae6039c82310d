import itertools

import numpy as np
import pytest
import tensorflow as tf

from mri_contrast.slices import SIZE
from pipeline.records import TRUTHS, Record, decode, encode, parse


def records() -> list[Record]:
    """One of each combination of class, plane and gadolinium, unknown ones too."""
    truths = itertools.product(range(4), range(-1, 3), range(-1, 2))
    return [
        Record(np.full((SIZE, SIZE), index, np.uint8), *truth, "p", "test", f"s{index}")
        for index, truth in enumerate(truths)
    ]


def test_a_record_is_read_as_it_was_written() -> None:
    for record in records():
        read = decode(encode(record))
        np.testing.assert_array_equal(read.image, record.image)
        assert read[1:] == record[1:]


def test_a_batch_is_parsed_as_its_records_one_by_one() -> None:
    written = records()
    batch = parse(tf.constant([encode(record) for record in written]), ["scan"])
    for name in TRUTHS:
        assert batch[name].dtype == tf.int64
        assert batch[name].numpy().tolist() == [getattr(r, name) for r in written]
    assert batch["image"].numpy()[:, 0, 0].tolist() == list(range(len(written)))
    assert batch["scan"].numpy().tolist() == [r.scan.encode() for r in written]


def test_a_record_of_the_first_schema_is_none() -> None:
    example = tf.train.Example.FromString(encode(records()[0]))
    for name in ("plane", "gadolinium"):
        del example.features.feature[name]
    with pytest.raises(ValueError, match="has no plane and no gadolinium"):
        decode(example.SerializeToString())
