"""How sure a figure is: exact intervals of counts, resampling of whole subjects."""

import dataclasses
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES: Final = 1000
SEED: Final = 20260101
LEVEL: Final = 0.95

Interval = list[float]


def exact(right: int, count: int) -> Interval | None:
    """Clopper and Pearson's 95 % interval of a share (Biometrika 1934).

    Args:
        right: Number of hits.
        count: Number of cases; none gives None.
    """
    if not count:
        return None
    found = stats.binomtest(right, count).proportion_ci(LEVEL, method="exact")
    return [float(found.low), float(found.high)]


@dataclasses.dataclass(frozen=True, slots=True)
class Resamples:
    """Subjects drawn with replacement, all the draws at once.

    Slices and scans of one person err together: drawing them one by one would make
    every interval too narrow.

    Attributes:
        members: (n,) number of each row's subject.
        weights: (draws, subjects) how often each subject was drawn.
    """

    members: NDArray[np.intp]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, subjects: NDArray[np.str_], draws: int = RESAMPLES) -> Self:
        """Draws as many subjects as there are, `draws` times, always the same.

        Args:
            subjects: (n,) the subject of each row.
            draws: Number of draws.
        """
        names, members = np.unique(subjects, return_inverse=True)
        rng = np.random.default_rng(SEED)
        even = np.full(len(names), 1 / len(names))
        weights = rng.multinomial(len(names), even, size=draws).astype(np.float64)
        return cls(members, weights)

    def sums(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Sums of a column (n,) in each draw: (draws,)."""
        subjects = self.weights.shape[1]
        return self.weights @ np.bincount(self.members, values, subjects)

    def of_mean(
        self,
        values: NDArray[np.generic],
        chosen: NDArray[np.bool_] | None = None,
    ) -> Interval | None:
        """95 % percentile interval of the mean of some rows.

        Args:
            values: (n,) what is averaged.
            chosen: (n,) the rows that count; all if not given.

        Returns:
            None where rows of fewer than two subjects count: drawing one person
            again and again tells nothing about others. Where all rows are hits, or
            none is, every draw is the same; then it is the exact interval of as many
            cases as there are subjects.
        """
        counted = np.ones(len(values), bool) if chosen is None else chosen
        subjects = len(np.unique(self.members[counted]))
        if subjects < 2:
            return None
        hits = values[counted]
        if values.dtype == bool and hits.all() == hits.any():
            return exact(subjects * int(hits.all()), subjects)
        return percentiles(self.sums(values * counted), self.sums(counted))

    def of_area(
        self, positive: NDArray[np.bool_], score: NDArray[np.float64]
    ) -> Interval | None:
        """95 % percentile interval of the area under a ROC curve.

        It is the share of pairs, one of each side, that the score puts in order, ties
        by half; a subject that was drawn twice counts twice (Mann and Whitney 1947).

        Args:
            positive: (n,) the side that should score higher.
            score: (n,) what ranks.

        Returns:
            None where a side has rows of fewer than two subjects.
        """
        for side in (positive, ~positive):
            if len(np.unique(self.members[side])) < 2:
                return None
        _, ranks = np.unique(score, return_inverse=True)
        ordered, pairs = np.empty((2, len(self.weights)))
        for draw, weights in enumerate(self.weights):
            rows = weights[self.members]
            high = np.bincount(ranks, rows * positive)
            low = np.bincount(ranks, rows * ~positive)
            ordered[draw] = high @ (np.cumsum(low) - low / 2)
            pairs[draw] = high.sum() * low.sum()
        return percentiles(ordered, pairs)


def percentiles(
    above: NDArray[np.float64], below: NDArray[np.float64]
) -> Interval | None:
    """The middle 95 % of quotients, draws that miss the group left out."""
    drawn = below > 0
    if not drawn.any():
        return None
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(above[drawn] / below[drawn], [tail, 100 - tail])
    return [float(low), float(high)]
