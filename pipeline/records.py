"""One slice as a record: how it is written into a shard, and read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from mri_contrast.slices import SIZE
from pipeline.contrasts import CLASSES
from pipeline.labelled import PLANES, UNKNOWN

IMAGE_BYTES: Final = SIZE * SIZE

RECORD_BYTES: Final = IMAGE_BYTES + 200
"""About what a record takes, with its frame and usual names."""

TAGS: Final = ("subject", "source", "scan")
"""What a record says of the slice besides its class."""

TRUTHS: Final = {"label": len(CLASSES), "plane": len(PLANES), "gadolinium": 2}
"""What a network learns of a slice, with the number of values: 0 to one less."""

MAYBE_UNKNOWN: Final = ("plane", "gadolinium")
"""Truths that may also be `pipeline.labelled.UNKNOWN`."""

_FEATURES: Final = ("image", *TRUTHS, *TAGS)


class Record(NamedTuple):
    """A labelled slice.

    Attributes:
        image: (150, 150) uint8.
        label: Index into the manifest's classes.
        plane: 0 sagittal, 1 coronal, 2 axial, -1 unknown.
        gadolinium: 0 without and 1 with contrast agent, -1 unknown.
        subject: The person.
        source: The data set or phantom family.
        scan: The scan it was cut from; slices of one scan share it.
    """

    image: NDArray[np.uint8]
    label: int
    plane: int
    gadolinium: int
    subject: str
    source: str
    scan: str


def encode(record: Record) -> bytes:
    """Returns a record as a serialised `tf.train.Example`, always the same bytes."""
    if record.image.shape != (SIZE, SIZE) or record.image.dtype != np.uint8:
        raise ValueError(
            f"a slice is ({SIZE}, {SIZE}) uint8, got {record.image.shape} "
            f"{record.image.dtype}"
        )
    features = {
        "image": _bytes(record.image.tobytes()),
        "label": _number(record.label),
        "plane": _number(record.plane),
        "gadolinium": _number(record.gadolinium),
        "subject": _bytes(record.subject.encode()),
        "source": _bytes(record.source.encode()),
        "scan": _bytes(record.scan.encode()),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    # The order of a protobuf map is not defined unless asked for.
    return bytes(example.SerializeToString(deterministic=True))


def decode(data: bytes) -> Record:
    """Returns the record of a serialised `tf.train.Example`.

    Raises:
        ValueError: It is none, or holds no slice of a known class.
    """
    try:
        features = tf.train.Example.FromString(data).features.feature
        # A protobuf map makes what is asked for: look before.
        missing = [name for name in _FEATURES if name not in features]
        if missing:
            raise ValueError(f"has no {' and no '.join(missing)}")
        image = features["image"].bytes_list.value[0]
        truths = {name: features[name].int64_list.value[0] for name in TRUTHS}
        tags = [features[name].bytes_list.value[0].decode() for name in TAGS]
    except (DecodeError, IndexError) as error:
        raise ValueError(f"is no record of a slice ({error})") from None
    if len(image) != IMAGE_BYTES:
        raise ValueError(f"has an image of {len(image)} bytes, not {IMAGE_BYTES}")
    for name, value in truths.items():
        least = UNKNOWN if name in MAYBE_UNKNOWN else 0
        if not least <= value < TRUTHS[name]:
            raise ValueError(
                f"has {name} {value}, not one of {least} to {TRUTHS[name] - 1}"
            )
    pixels = np.frombuffer(image, np.uint8).reshape(SIZE, SIZE)
    return Record(pixels, *truths.values(), *tags)


def write(path: Path, records: Iterable[Record]) -> None:
    """Writes records to an uncompressed TFRecord file."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(encode(record))


def parse(batch: tf.Tensor, tags: Sequence[str] = ()) -> dict[str, tf.Tensor]:
    """Parses a whole batch by one operation a feature, not record by record.

    Args:
        batch: (batch,) serialised records.
        tags: Those of `TAGS` that are wanted.

    Returns:
        `image` (batch, 150, 150) uint8, each of `TRUTHS` (batch,) int64, each tag
        (batch,) string.
    """
    wanted = {name: tf.io.FixedLenFeature([], tf.string) for name in ("image", *tags)}
    wanted |= {name: tf.io.FixedLenFeature([], tf.int64) for name in TRUTHS}
    features = dict(tf.io.parse_example(batch, wanted))
    pixels = tf.reshape(tf.io.decode_raw(features["image"], tf.uint8), (-1, SIZE, SIZE))
    features["image"] = tf.ensure_shape(pixels, (batch.shape[0], SIZE, SIZE))
    return features


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _number(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
