"""What a model's outputs say, where they are named by our classes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast.verdict import Verdict, combine
from pipeline.contrasts import CLASSES


@dataclasses.dataclass(frozen=True, slots=True)
class Verdicts:
    """What was said about the slices of a call.

    Attributes:
        scan: The verdict on all of them together, as the client would give it.
        slices: How many of them each class won.
    """

    scan: Verdict
    slices: dict[str, int]


def read_verdicts(outputs: Mapping[str, npt.NDArray[Any]]) -> Verdicts | None:
    """Reads the outputs of a run.

    Args:
        outputs: By alias.

    Returns:
        None where they are of another kind, or no slice could be read.
    """
    if any(name not in outputs or outputs[name].ndim != 1 for name in CLASSES):
        return None
    table = np.stack([outputs[name] for name in CLASSES]).astype(np.float64)
    # An image that could not be read has no finite log-probability of anything.
    readable = np.isfinite(table).any(axis=0) & ~np.isnan(table).any(axis=0)
    if "error" in outputs:
        readable &= outputs["error"] == b""
    if not readable.any():
        return None
    table = table[:, readable]
    counts = np.bincount(table.argmax(axis=0), minlength=len(CLASSES))
    try:
        scan = combine(
            dict(zip(CLASSES, table, strict=True)),
            # Without them, where a filter left them out: the mean, and never unsure.
            rho=_first(outputs, "aux_rho", 1.0),
            accept=_first(outputs, "aux_accept", 0.0),
        )
    except ValueError:
        return None
    return Verdicts(scan, dict(zip(CLASSES, counts.tolist(), strict=True)))


def _first(outputs: Mapping[str, npt.NDArray[Any]], name: str, without: float) -> float:
    values = outputs.get(name)
    return without if values is None or not values.size else float(values.flat[0])
