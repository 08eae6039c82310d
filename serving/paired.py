"""How much longer one model takes than another, asked in turns."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True, slots=True)
class Ratio:
    """Of times that were measured in pairs.

    Attributes:
        median: Of the pairs' ratios: what else the machine did hits both alike.
        low: Lower end of its exact 95 % interval; 0 where there are too few pairs.
        high: Upper end; infinite where there are too few pairs.
        pairs: Their number.
    """

    median: float
    low: float
    high: float
    pairs: int


def ratio_of(times: Sequence[float], others: Sequence[float]) -> Ratio:
    """Compares times pair by pair.

    The interval lies between two ratios of the sorted ones: how many of them are below
    the true median is binomial, whatever their distribution.

    Args:
        times: One each pair, above 0.
        others: What they are compared with, in the same order and unit.
    """
    ratios = np.sort(np.array(times) / np.array(others))
    count = len(ratios)
    below = int(stats.binom.ppf(0.025, count, 0.5))
    narrow = below > 0
    return Ratio(
        median=float(np.median(ratios)),
        low=float(ratios[below - 1]) if narrow else 0.0,
        high=float(ratios[count - below]) if narrow else float("inf"),
        pairs=count,
    )
