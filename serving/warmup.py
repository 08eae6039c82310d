"""Requests that TF Serving replays before a version turns available.

The file is `assets.extra/tf_serving_warmup_requests`, a TFRecord of PredictionLog. It
is kept small: one grey level stands for whole batches of slices, one ramp for images.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

from mri_contrast.slices import SIZE

ALLOWED_SIZES: Final = (1, 8, 16, 24, 32, 64)
"""Batch sizes that batching may form: one plane is 8 slices, a volume 24."""


FILE: Final = Path("assets.extra") / "tf_serving_warmup_requests"


def write(model: Path, name: str, inputs: dict[str, str]) -> None:
    """Writes the warm-up file of a SavedModel.

    Args:
        model: The SavedModel's folder.
        name: The model's name.
        inputs: Name of the single input of each signature to warm up.
    """
    (model / FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(model / FILE)) as records:
        for log in _requests(name, inputs):
            records.write(log.SerializeToString(deterministic=True))


def _requests(
    name: str, inputs: dict[str, str]
) -> Iterator[prediction_log_pb2.PredictionLog]:
    image = png(np.tile(np.arange(SIZE, dtype=np.uint8), (SIZE, 1)))
    for signature, alias in inputs.items():
        for count in ALLOWED_SIZES:
            log = prediction_log_pb2.PredictionLog()
            if signature == "classify":
                request = log.classify_log.request
                request.input.example_list.examples.extend([example(image)] * count)
            else:
                request = log.predict_log.request
                request.inputs[alias].CopyFrom(
                    tf.make_tensor_proto([image] * count)
                    if signature == "encoded"
                    else _grey_slices(count)
                )
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            yield log


def _grey_slices(count: int) -> "tf.core.framework.tensor_pb2.TensorProto":
    """A (count, 150, 150) uint8 tensor in a few bytes: its last value is repeated."""
    proto = tf.make_tensor_proto(np.uint8(128))
    proto.tensor_shape.CopyFrom(tf.TensorShape((count, SIZE, SIZE)).as_proto())
    return proto


def png(slice_: np.ndarray) -> bytes:
    """Encodes an (h, w) uint8 slice."""
    file = io.BytesIO()
    Image.fromarray(slice_).save(file, "PNG")
    return file.getvalue()


def example(image: bytes) -> tf.train.Example:
    """Wraps an encoded image as the `classify` signature takes it."""
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    return tf.train.Example(
        features=tf.train.Features(feature={"image/encoded": value})
    )
