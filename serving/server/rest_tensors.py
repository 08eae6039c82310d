"""JSON to tensors and back, in TF Serving's row and column forms."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.errors import invalid
from serving.server.session import Signature, Tensor
from serving.server.tensors import Array


def read_inputs(body: Mapping[str, Any], signature: Signature) -> dict[str, Array]:
    """Reads the tensors of a predict request.

    Args:
        body: The JSON object: `instances` (rows) or `inputs` (columns).
        signature: What takes them.

    Returns:
        An array for each alias that the request names.

    Raises:
        ServingError: The JSON has neither form, or values of another kind.
    """
    if ("instances" in body) == ("inputs" in body):
        raise invalid(
            "Request has to have one of the keys 'instances' (rows) and 'inputs' "
            f"(columns), got {sorted(body)}"
        )
    columns = (
        _columns(body["inputs"], signature)
        if "inputs" in body
        else _transposed(body["instances"], signature)
    )
    return {
        alias: _array(alias, value, signature.inputs[alias])
        if alias in signature.inputs
        else np.empty(0)
        for alias, value in columns.items()
    }


def write_outputs(outputs: Mapping[str, Array], by_row: bool) -> dict[str, Any]:
    """Returns the JSON object that answers a predict request.

    Raises:
        ServingError: Rows were asked for, but the outputs have none in common.
    """
    values = {alias: _plain(alias, array) for alias, array in outputs.items()}
    if not by_row:
        return {"outputs": next(iter(values.values())) if len(values) == 1 else values}
    counts = {array.shape[:1] for array in outputs.values()}
    if len(counts) != 1 or () in counts:
        raise invalid(
            "the outputs have no common number of rows; ask with 'inputs' (columns)"
        )
    if len(values) == 1:
        return {"predictions": next(iter(values.values()))}
    rows = zip(*values.values(), strict=True)
    return {"predictions": [dict(zip(values, row, strict=True)) for row in rows]}


def _columns(value: Any, signature: Signature) -> dict[str, Any]:
    if isinstance(value, dict) and not _is_base64(value):
        return value
    if len(signature.inputs) != 1:
        raise invalid(f"'inputs' must be an object with {sorted(signature.inputs)}")
    return {next(iter(signature.inputs)): value}


def _transposed(rows: Any, signature: Signature) -> dict[str, list[Any]]:
    if not isinstance(rows, list) or not rows:
        raise invalid("'instances' must be a list that is not empty")
    named = [isinstance(row, dict) and not _is_base64(row) for row in rows]
    if not any(named):
        if len(signature.inputs) != 1:
            raise invalid(
                f"each instance must be an object with {sorted(signature.inputs)}"
            )
        return {next(iter(signature.inputs)): rows}
    if not all(named) or len({frozenset(row) for row in rows}) != 1:
        raise invalid("all instances must be objects with the same keys")
    return {alias: [row[alias] for row in rows] for alias in rows[0]}


def _array(alias: str, value: Any, tensor: Tensor) -> Array:
    if tensor.dtype == tf.string:
        return _strings(alias, value)
    try:
        array = np.array(value)
    except ValueError:
        raise invalid(f"{alias}: lists of unequal length are no tensor") from None
    wanted = np.dtype(tensor.dtype.as_numpy_dtype)
    # JSON numbers: whole ones fit any number, fractions only floats.
    fitting = {"b": "b", "i": "iu", "u": "iu"}.get(wanted.kind, "fiu")
    if array.size and array.dtype.kind not in fitting:
        raise invalid(f"{alias}: values that are no {tensor.dtype.name} were sent")
    if array.size and wanted.kind in "iu":
        limits = np.iinfo(wanted)
        if array.min() < limits.min or array.max() > limits.max:
            raise invalid(
                f"{alias}: {tensor.dtype.name} is from {limits.min} to {limits.max}, "
                f"got {array.min()} to {array.max()}"
            )
    return array.astype(wanted)


def _strings(alias: str, value: Any) -> Array:
    array = np.array(_bytes(alias, value), dtype=object)
    if not all(isinstance(each, bytes) for each in array.flat):
        raise invalid(f"{alias}: lists of unequal length are no tensor")
    return array


def _bytes(alias: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes(alias, each) for each in value]
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise invalid(f"{alias}: a string holds half a surrogate pair") from None
    if _is_base64(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise invalid(f"{alias}: a b64 value is no base64") from None
    raise invalid(f'{alias}: strings or {{"b64": ...}} are wanted')


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _plain(alias: str, array: Array) -> Any:
    if array.dtype != object:
        return array.tolist()
    if alias.endswith("_bytes"):
        encoded = [{"b64": base64.b64encode(each).decode()} for each in array.flat]
    else:
        encoded = [each.decode(errors="replace") for each in array.flat]
    plain = np.empty(len(encoded), object)
    plain[:] = encoded
    return plain.reshape(array.shape).tolist()
