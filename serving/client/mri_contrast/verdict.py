"""From the log-probabilities of slices to one verdict on the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scan is.

    Attributes:
        contrast: the most probable class, or "unsure" where it is not probable enough.
        probability: of the most probable class, in [0, 1].
        probabilities: of each class, summing to 1, in the order they were given.
    """

    contrast: str
    probability: float
    probabilities: dict[str, float]


def combine(
    log_probabilities: Mapping[str, npt.NDArray[Any]], *, rho: float, accept: float
) -> Verdict:
    """Combines slices as correlated witnesses: `softmax(sum log p / (1 + (n-1) rho))`.

    n equally correlated observations weigh as much as `n / (1 + (n-1) rho)`
    independent ones (the design effect of cluster sampling; Kish 1965).

    Args:
        log_probabilities: for each class `(n,)` natural log-probabilities, n >= 1.
        rho: correlation of the slices of one scan, in [0, 1]: 0 multiplies their
            probabilities, 1 takes their geometric mean.
        accept: the least probability of the winner, in [0, 1]; below it the verdict
            is "unsure".

    Raises:
        ValueError: no class, no slice, lengths that differ, NaN or +infinity, a slice
            that leaves no class possible, `rho` or `accept` outside [0, 1].
    """
    for name, value in (("rho", rho), ("accept", accept)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} is {value}; it must be in [0, 1]")
    table = _table(log_probabilities)
    slices = table.shape[1]
    scores = table.sum(axis=1) / (1.0 + (slices - 1) * rho)
    if not np.isfinite(scores.max()):
        raise ValueError("the slices rule out every class; no verdict is possible")
    weights = np.exp(scores - scores.max())
    shares = weights / weights.sum()
    names = list(log_probabilities)
    best = int(shares.argmax())
    probability = float(shares[best])
    return Verdict(
        contrast=names[best] if probability >= accept else UNSURE,
        probability=probability,
        probabilities=dict(zip(names, shares.tolist(), strict=True)),
    )


def _table(log_probabilities: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """`(classes, n)` float64; raises ValueError where no verdict can come of it."""
    rows = [np.asarray(r, dtype=np.float64) for r in log_probabilities.values()]
    shapes = {row.shape for row in rows}
    if len(shapes) != 1 or any(len(s) != 1 or s[0] == 0 for s in shapes):
        raise ValueError(
            f"log-probabilities have the shapes {sorted(shapes)}; each class needs "
            "the same (n,) with n >= 1"
        )
    table = np.stack(rows)
    if np.isnan(table).any() or (table == np.inf).any():
        raise ValueError("log-probabilities hold NaN or +infinity; no verdict possible")
    return table
