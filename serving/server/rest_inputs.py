"""JSON to tensors: the row form (`instances`) and the columnar one (`inputs`)."""

from collections.abc import Mapping
from typing import Any

from serving.server.errors import invalid
from serving.server.rest_json import format_error, is_base64, shown
from serving.server.rest_values import rows_to_array, to_array
from serving.server.session import Signature
from serving.server.tensors import Array


def read_inputs(body: Mapping[str, Any], signature: Signature) -> dict[str, Array]:
    """Reads the tensors of a predict request.

    Args:
        body: The JSON object.
        signature: What takes them; inputs with a default may be left out.

    Returns:
        An array for each input.

    Raises:
        ServingError: The JSON has neither form, or values of another kind.
    """
    if not signature.inputs:
        raise invalid(f"Failed to get input map for signature: {signature.name}")
    if "instances" in body and "inputs" in body:
        raise format_error(
            body,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' "
            "keys to exist ",
        )
    if "instances" in body:
        given = _rows(body, signature)
    elif "inputs" in body:
        given = _columns(body["inputs"], signature)
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    return {**signature.defaults, **given}


def _columns(value: Any, signature: Signature) -> dict[str, Array]:
    if not isinstance(value, dict) or is_base64(value):
        if len(signature.inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        value = {next(iter(signature.inputs)): value}
    arrays = {}
    for alias, tensor in signature.inputs.items():
        if alias in value:
            arrays[alias] = to_array(value[alias], tensor.dtype)
        elif alias not in signature.defaults:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return arrays


def _rows(body: Mapping[str, Any], signature: Signature) -> dict[str, Array]:
    rows = body["instances"]
    if not isinstance(rows, list):
        raise format_error(body, "Expecting 'instances' to be an list/array")
    if not rows:
        raise format_error(body, "No values in 'instances' array")
    named = _is_named(rows[0])
    if not named and len(signature.inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    for position, row in enumerate(rows):
        if _is_named(row) != named:
            expected, got = ("object", "list") if named else ("value/list", "object")
            raise invalid(
                f"Expecting {expected} but got {got} at item {position} of input list"
            )
        if named:
            _check_keys(position, row, rows[0], signature)
    aliases = list(rows[0]) if named else [next(iter(signature.inputs))]
    arrays = {}
    for alias in aliases:
        column = [row[alias] for row in rows] if named else rows
        arrays[alias] = rows_to_array(
            column, signature.inputs[alias].dtype, f" key: {alias}" if named else ""
        )
    return arrays


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64(row)


def _check_keys(
    position: int, row: dict[str, Any], first: dict[str, Any], signature: Signature
) -> None:
    for name in row:
        if name not in signature.inputs:
            raise invalid(
                f"Failed to process element: {position} key: {name} of 'instances' "
                "list. Error: INVALID_ARGUMENT: JSON object: does not have named "
                f"input: {name}"
            )
    if set(signature.inputs) - set(row) - set(signature.defaults) or (
        row.keys() != first.keys()
    ):
        raise invalid(
            f"Failed to process element: {position} of 'instances' list. JSON object: "
            f"{shown(row)} keys must be equal to: {','.join(signature.inputs)}"
        )
