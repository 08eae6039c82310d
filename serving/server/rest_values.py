"""One tensor from JSON: numbers by numpy, anything odd looked at value by value."""

import math
from typing import Any, Final

import grpc
import numpy as np
import tensorflow as tf

from serving.server.errors import ServingError, invalid
from serving.server.rest_json import (
    decode_base64,
    encode_text,
    format_error,
    shown,
    type_name,
)
from serving.server.tensors import Array, runtime_name, shown_shape

JSON_TYPES: Final = frozenset(
    {
        *(tf.float32, tf.float64, tf.string, tf.bool),
        *(tf.int8, tf.int16, tf.int32, tf.int64),
        *(tf.uint8, tf.uint32, tf.uint64),
    }
)
"""What TF Serving turns into JSON and back."""

_DEEPEST: Final = 64
"""Sides that an array of numpy may have."""


def to_array(value: Any, dtype: tf.DType) -> Array:
    """Reads one tensor.

    Raises:
        ServingError: Values are of another kind, or lists of unequal length.
    """
    array = _fast(value, dtype)
    if array is None:
        _check(value, _shape(value), dtype)
        array = _slow(value, dtype)
    return array


def rows_to_array(rows: list[Any], dtype: tf.DType, key: str) -> Array:
    """Reads one tensor whose first side is the rows of a request.

    Args:
        rows: One value for each row.
        dtype: What it shall be.
        key: For refusals: ` key: x` where rows have keys, empty otherwise.

    Raises:
        ServingError: Names the row whose value is of another kind or shape.
    """
    array = _fast(rows, dtype)
    if array is None:
        _check_elements(rows, dtype, key)
        array = _slow(rows, dtype)
    return array


def _fast(value: Any, dtype: tf.DType) -> Array | None:
    """Reads what numpy reads at once; None where it is to be looked at closely."""
    if dtype not in JSON_TYPES or dtype == tf.string:
        return None
    try:
        array = np.array(value)
    except ValueError:
        return None
    wanted = np.dtype(dtype.as_numpy_dtype)
    # JSON numbers: whole ones fit any number, fractions only floats.
    fitting = {"b": "b", "i": "iu", "u": "iu"}.get(wanted.kind, "fiu")
    if array.size and array.dtype.kind not in fitting:
        return None
    if wanted.kind != "b" and _holds_booleans(value):  # numpy takes them for 0 and 1
        return None
    if array.size and wanted.kind in "iu":
        limits = np.iinfo(wanted)
        if array.min() < limits.min or array.max() > limits.max:
            return None
    with np.errstate(over="ignore"):  # above a float32's range is infinity
        return array.astype(wanted)


def _holds_booleans(value: Any) -> bool:
    if not isinstance(value, list):
        return isinstance(value, bool)
    if value and isinstance(value[0], list):
        return any(map(_holds_booleans, value))
    return bool in map(type, value)


def _slow(value: Any, dtype: tf.DType) -> Array:
    """Reads what `_check` has passed: strings, and numbers larger than 64 bits."""
    try:
        if dtype == tf.string:
            return np.array(_strings(value), dtype=object)
        with np.errstate(over="ignore"):
            return np.array(value, dtype=dtype.as_numpy_dtype)
    except (ValueError, OverflowError) as error:
        raise format_error(value, f"is no tensor: {error}") from None


def _strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_strings(each) for each in value]
    return encode_text(value) if isinstance(value, str) else decode_base64(value)


def _check_elements(column: list[Any], dtype: tf.DType, key: str) -> None:
    first = _shape(column[0])
    for position, element in enumerate(column):
        try:
            shape = _shape(element)
            _check(element, shape, dtype)
            if math.prod(shape) != math.prod(first):
                raise invalid(
                    f"Expecting tensor size: {math.prod(first)} but got: "
                    f"{math.prod(shape)}"
                )
            if shape != first:
                raise invalid(
                    f"Expecting shape {shown_shape(first)} but got: "
                    f"{shown_shape(shape)}"
                )
        except ServingError as error:
            raise ServingError(
                error.code,
                f"Failed to process element: {position}{key} of 'instances' list. "
                f"Error: {error.code.name}: {error.text}",
            ) from None


def _shape(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _check(value: Any, shape: list[int], dtype: tf.DType) -> None:
    """Refuses the first value of the wrong kind, or list of the wrong length."""
    if len(shape) > _DEEPEST:
        raise invalid(f"lists nested deeper than {_DEEPEST} are no tensor")
    stack = [(value, 0)]
    while stack:  # no recursion: lists may be nested deeper than Python's calls
        each, level = stack.pop()
        if not isinstance(each, list):
            if level != len(shape):
                raise format_error(
                    each,
                    f"found at incorrect level: {level + 1} in the JSON DOM. Expected "
                    f"at level: {len(shape)}",
                )
            _check_scalar(each, dtype)
        elif level >= len(shape):
            raise invalid(
                f"Encountered list at unexpected level: {level} expected < {len(shape)}"
            )
        elif len(each) != shape[level]:
            raise invalid(
                f"Encountered list at unexpected size: {len(each)} at level: {level} "
                f"expected size: {shape[level]}"
            )
        else:
            stack.extend((child, level + 1) for child in reversed(each))


def _check_scalar(value: Any, dtype: tf.DType) -> None:
    if dtype not in JSON_TYPES:
        raise ServingError(
            grpc.StatusCode.UNIMPLEMENTED,
            f"Conversion of JSON Value: {shown(value)} to type: {runtime_name(dtype)}",
        )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if dtype == tf.string:
        fits = isinstance(value, str | dict)
    elif dtype == tf.bool:
        fits = isinstance(value, bool)
    elif dtype.is_integer:
        fits = number and isinstance(value, int) and dtype.min <= value <= dtype.max
    else:
        fits = number
    if not fits:
        raise format_error(
            value,
            f"Type: {type_name(value)} is not of expected type: {runtime_name(dtype)}",
        )
