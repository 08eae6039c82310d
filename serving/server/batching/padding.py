"""Rows of several calls to one batch and back, with what has to be filled up."""

from collections.abc import Sequence
from typing import Final

import grpc
import numpy as np

from serving.server.errors import ServingError, invalid
from serving.server.tensors import Array

_PADDED_RANKS: Final = range(1, 7)


def rows_of(arrays: Sequence[Array]) -> int:
    """Returns the number of rows that all inputs of a call share.

    Raises:
        ServingError: They have none in common.
    """
    if not arrays:
        raise invalid("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in arrays):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    rows = {array.shape[0] for array in arrays}
    if len(rows) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return rows.pop()


def merge(
    names: Sequence[str],
    calls: Sequence[Sequence[Array]],
    padding: int,
    variable_length: bool,
) -> list[Array]:
    """Puts the rows of calls one below the other.

    Args:
        names: Of the inputs, for refusals.
        calls: The inputs of each call.
        padding: Rows to fill up with: the last call's first row, as TF Serving takes.
        variable_length: Whether to fill up the other dimensions, too, where they
            differ, with each tensor's first element.

    Raises:
        ServingError: The shapes differ and `variable_length` is off, or the rank is
            above 6.
    """
    if len(calls) == 1 and not padding:
        return list(calls[0])
    merged = []
    for name, *parts in zip(names, *calls, strict=True):
        if len({part.shape[1:] for part in parts}) > 1:
            if not variable_length:
                raise ServingError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"Tensors with name '{name}' from different tasks have different "
                    "shapes and padding is turned off. Set "
                    "pad_variable_length_inputs to true, or ensure that all tensors "
                    "with the same name have equal dimensions starting with the "
                    "first dim.",
                )
            parts = _of_one_shape(parts)
        if padding:
            parts.append(np.repeat(parts[-1][:1], padding, axis=0))
        merged.append(np.concatenate(parts))
    return merged


def split(
    outputs: Sequence[Array], sizes: Sequence[int], padding: int
) -> list[list[Array]]:
    """Cuts a batch's outputs into those of its calls; padding is left out.

    Raises:
        ServingError: An output has no row for each row of the batch.
    """
    total = sum(sizes) + padding
    for output in outputs:
        if output.ndim == 0:
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Batched output tensor has 0 dimensions",
            )
        if output.shape[0] != total:
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the "
                "0th dimension sizes of the input tensors",
            )
    cut, start = [], 0
    for size in sizes:
        cut.append([output[start : start + size] for output in outputs])
        start += size
    return cut


def _of_one_shape(parts: Sequence[Array]) -> list[Array]:
    ranks = {part.ndim for part in parts}
    if len(ranks) > 1 or ranks.pop() not in _PADDED_RANKS:
        raise invalid("Only tensors with rank from 1 to 6 can be padded.")
    widest = tuple(np.max([part.shape[1:] for part in parts], axis=0))
    padded = []
    for part in parts:
        first = part.flat[0] if part.size else np.zeros((), part.dtype)[()]
        whole = np.full((len(part), *widest), first, part.dtype)
        whole[tuple(slice(side) for side in part.shape)] = part
        padded.append(whole)
    return padded
