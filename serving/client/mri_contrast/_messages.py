"""TF Serving's messages without TensorFlow, and tensors as numpy arrays.

The classes live in a descriptor pool of their own: `tensorflow` and
`tensorflow_serving` register the same names in protobuf's default pool, and both may
be in one process with this package. `tfs.fds` is written by `build_descriptors.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pool, message_factory


def _classes() -> Callable[[str], Any]:
    pool = descriptor_pool.DescriptorPool()
    for file in _files(Path(__file__).with_name("tfs.fds").read_bytes()):
        pool.AddSerializedFile(file)
    return lambda name: message_factory.GetMessageClass(
        pool.FindMessageTypeByName(name)
    )


def _files(content: bytes) -> Iterator[bytes]:
    """The serialized files of a FileDescriptorSet, which is its field 1 repeated.

    Read here, since `descriptor_pb2` takes 10 MiB and a tenth of the import's time.
    https://protobuf.dev/programming-guides/encoding/
    """
    at = 0
    while at < len(content):
        if content[at] != 0x0A:  # field 1, of a length that follows
            raise ValueError("tfs.fds is damaged; install mri-contrast again")
        length = shift = 0
        while True:
            at += 1
            length |= (content[at] & 0x7F) << shift
            shift += 7
            if content[at] < 0x80:
                break
        yield content[at + 1 : at + 1 + length]
        at += 1 + length


_class = _classes()
TensorProto = _class("tensorflow.TensorProto")
PredictRequest = _class("tensorflow.serving.PredictRequest")
PredictResponse = _class("tensorflow.serving.PredictResponse")
GetModelMetadataRequest = _class("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = _class("tensorflow.serving.GetModelMetadataResponse")
SignatureDefMap = _class("tensorflow.serving.SignatureDefMap")
GetModelStatusRequest = _class("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse = _class("tensorflow.serving.GetModelStatusResponse")

RESPONSES = {
    "PredictionService/Predict": PredictResponse,
    "PredictionService/GetModelMetadata": GetModelMetadataResponse,
    "ModelService/GetModelStatus": GetModelStatusResponse,
}

# numpy dtype -> number in types.proto, field of TensorProto that may hold the values.
_DTYPES: dict[np.dtype[Any], tuple[int, str]] = {
    np.dtype(np.float32): (1, "float_val"),
    np.dtype(np.float64): (2, "double_val"),
    np.dtype(np.int32): (3, "int_val"),
    np.dtype(np.uint8): (4, "int_val"),
    np.dtype(np.int16): (5, "int_val"),
    np.dtype(np.int8): (6, "int_val"),
    np.dtype(object): (7, "string_val"),
    np.dtype(np.int64): (9, "int64_val"),
    np.dtype(np.bool_): (10, "bool_val"),
    np.dtype(np.uint16): (17, "int_val"),
    np.dtype(np.uint32): (22, "uint32_val"),
    np.dtype(np.uint64): (23, "uint64_val"),
}
_BY_NUMBER = {number: (dtype, name) for dtype, (number, name) in _DTYPES.items()}


def to_tensor(array: npt.NDArray[Any]) -> Any:
    """Makes a TensorProto of a numeric array, or of an object array of `bytes`.

    Raises:
        TypeError: of a dtype that TensorFlow has no place for here.
    """
    if array.dtype not in _DTYPES:
        raise TypeError(
            f"{array.dtype} cannot be sent; use one of {[str(d) for d in _DTYPES]}"
        )
    number, _ = _DTYPES[array.dtype]
    tensor = TensorProto(dtype=number)
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype.kind == "O":
        tensor.string_val.extend(array.ravel())
    else:
        tensor.tensor_content = np.ascontiguousarray(array).tobytes()
    return tensor


def to_array(tensor: Any) -> npt.NDArray[Any]:
    """Makes an array of a TensorProto; strings become an object array of `bytes`.

    Values may be packed or in the typed field, where the last one stands for all that
    are left out (`tensor.proto`).

    Raises:
        ValueError: an unknown dtype, or values that do not fit the shape.
    """
    if tensor.dtype not in _BY_NUMBER:
        raise ValueError(f"tensor has the unknown dtype number {tensor.dtype}")
    dtype, field = _BY_NUMBER[tensor.dtype]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError("tensor has no definite shape")
    if tensor.tensor_content:
        if dtype.kind == "O":
            raise ValueError("strings cannot be packed into tensor_content")
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    count = math.prod(shape)
    try:
        values = np.array(list(getattr(tensor, field)), dtype=dtype)
    except OverflowError as error:
        raise ValueError(f"tensor of {dtype} holds a value beyond its range") from error
    if len(values) > count or (len(values) == 0 and count > 0):
        raise ValueError(f"tensor of shape {shape} comes with {len(values)} values")
    if len(values) < count:
        rest = np.broadcast_to(values[-1:], (count - len(values),))
        values = np.concatenate([values, rest])
    return values.reshape(shape)
