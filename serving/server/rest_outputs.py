"""Tensors to JSON: the row form (`predictions`) and the columnar one (`outputs`).

Numbers are written with as few digits as tell them apart, so a float32 of 0.2 is `0.2`
and not `0.20000000298023224`; the standard library's encoder knows float64 only.
"""

import base64
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from serving.server.errors import invalid
from serving.server.rest_values import JSON_TYPES
from serving.server.session import Signature
from serving.server.tensors import Array, runtime_name

_SPECIAL: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""As TF Serving writes them, outside of JSON proper."""


def write_outputs(
    signature: Signature, outputs: Mapping[str, Array], by_row: bool
) -> str:
    """Returns the JSON that answers a predict request.

    Args:
        signature: Whose outputs they are.
        outputs: An array for each alias; the name of a single one is left out.
        by_row: Whether the request had rows.

    Raises:
        ServingError: Rows were asked for, but the outputs have none in common; or an
            output's type is none of JSON.
    """
    for alias in outputs:
        dtype = signature.outputs[alias].dtype
        if dtype not in JSON_TYPES:
            raise invalid(
                f"Failed to write JSON value for tensor type: {runtime_name(dtype)}"
            )
    if not by_row:
        columns = {
            alias: _nested(_texts(alias, array), array.shape)
            for alias, array in outputs.items()
        }
        return f'{{"outputs": {_named(columns)}}}'
    _check_rows(outputs)
    lists = [_by_row(alias, array) for alias, array in outputs.items()]
    rows = (
        _named(dict(zip(outputs, row, strict=True))) for row in zip(*lists, strict=True)
    )
    return f'{{"predictions": {_listed(rows)}}}'


def write_results(results: Any) -> str:
    """Returns the JSON that answers a classify or regress request.

    Args:
        results: A number, or pairs of label and score, for each Example.
    """
    return json.dumps({"results": results})


def shortest(value: float) -> float:
    """Returns the float64 that is written like this float32."""
    return float(str(np.float32(value)))


def _check_rows(outputs: Mapping[str, Array]) -> None:
    count = None
    for alias, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {alias} has no shape information ")
        if count not in (None, len(array)):
            raise invalid(
                f"Tensor name: {alias} has inconsistent batch size: {len(array)} "
                f"expecting: {count}"
            )
        count = len(array)


def _named(texts: Mapping[str, str]) -> str:
    if len(texts) == 1:
        return next(iter(texts.values()))
    return (
        "{" + ", ".join(f"{json.dumps(alias)}: {texts[alias]}" for alias in texts) + "}"
    )


def _by_row(alias: str, array: Array) -> list[str]:
    texts = _texts(alias, array)
    shape = array.shape[1:]
    size = math.prod(shape)
    return [
        _nested(texts[row * size : (row + 1) * size], shape)
        for row in range(len(array))
    ]


def _nested(texts: list[str], shape: tuple[int, ...]) -> str:
    """Joins texts to lists of this shape."""
    if 0 in shape:
        return json.dumps(np.zeros(shape).tolist())
    for side in reversed(shape):
        texts = [_listed(texts[i : i + side]) for i in range(0, len(texts), side)]
    return texts[0]


def _listed(texts: Iterable[str]) -> str:
    return f"[{', '.join(texts)}]"


def _texts(alias: str, array: Array) -> list[str]:
    flat = array.ravel()
    if array.dtype == object:
        if alias.endswith("_bytes"):
            encoded = (base64.b64encode(each).decode() for each in flat)
            return [json.dumps({"b64": each}) for each in encoded]
        return [json.dumps(each.decode(errors="replace")) for each in flat]
    if array.dtype == bool:
        return ["true" if each else "false" for each in flat.tolist()]
    texts = list(map(str, flat))
    if array.dtype.kind == "f" and not np.isfinite(flat).all():
        texts = [_SPECIAL.get(text, text) for text in texts]
    return texts
