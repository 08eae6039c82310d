"""TensorProto to numpy and back, with the fields that TensorFlow Serving fills."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

Array = npt.NDArray[Any]

_FIELDS: Final = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
    tf.float16: "half_val",
    tf.bfloat16: "half_val",
    tf.complex64: "scomplex_val",
    tf.complex128: "dcomplex_val",
}
"""Where a dtype's values go; all other integers share `int_val`."""

_RUNTIME_NAMES: Final = {tf.float32: "float", tf.float64: "double", tf.float16: "half"}


def runtime_name(dtype: tf.DType) -> str:
    """Returns a dtype's name as the runtime's errors spell it, such as `float`."""
    return str(_RUNTIME_NAMES.get(dtype, dtype.name))


def type_name(array: Array) -> str:
    """Returns the name of an array's DataType, such as `DT_FLOAT`."""
    return str(types_pb2.DataType.Name(tf.as_dtype(array.dtype).as_datatype_enum))


def shown_shape(shape: Sequence[int | None]) -> str:
    """Returns a shape as the runtime's errors write it, such as `[?,3]`."""
    return f"[{','.join('?' if side is None else str(side) for side in shape)}]"


def dtype_of(proto: tensor_pb2.TensorProto) -> tf.DType:
    """Returns a TensorProto's dtype.

    Raises:
        ValueError: There is no such dtype.
    """
    try:
        return tf.as_dtype(proto.dtype)
    except TypeError as error:
        raise ValueError(str(error)) from None


_MOST_BYTES: Final = 2**31
"""No message is longer, so larger tensors are one value, repeated: a few bytes that
would take all memory."""


def to_array(proto: tensor_pb2.TensorProto) -> Array:
    """Reads a TensorProto, without a copy where it carries raw bytes.

    Raises:
        ValueError: Shape, dtype and content do not fit together.
    """
    if proto.tensor_content and proto.dtype != tf.string.as_datatype_enum:
        shape = tuple(side.size for side in proto.tensor_shape.dim)
        if any(side < 0 for side in shape):
            raise ValueError(f"the shape {shape} is not known")
        flat = np.frombuffer(proto.tensor_content, dtype_of(proto).as_numpy_dtype)
        return flat.reshape(shape)
    count = math.prod(side.size for side in proto.tensor_shape.dim)
    if count * dtype_of(proto).size > _MOST_BYTES:
        raise ValueError(f"{count} values are more than a message can hold")
    try:
        return np.asarray(tf.make_ndarray(proto))
    except (TypeError, IndexError) as error:
        raise ValueError(str(error)) from None


def fill_proto(proto: tensor_pb2.TensorProto, array: Array, dtype: tf.DType) -> None:
    """Writes an array into an empty TensorProto's typed field.

    Args:
        proto: The TensorProto.
        array: Of any shape.
        dtype: The output's dtype as the signature declares it.
    """
    proto.dtype = dtype.as_datatype_enum
    for side in array.shape:
        proto.tensor_shape.dim.add().size = side
    flat = np.ravel(array)
    if dtype in (tf.float16, tf.bfloat16):
        flat = flat.view(np.uint16)
    elif dtype.is_complex:
        flat = flat.view(flat.real.dtype)
    getattr(proto, _FIELDS.get(dtype, "int_val")).extend(flat.tolist())
