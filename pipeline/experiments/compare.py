"""Intervals and paired tests where slices of one subject are no independent draws."""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DRAWS: Final = 10_000
_AT_A_TIME: Final = 500  # bounds the memory at any number of subjects

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """One network's wrong slices against another's, on the same slices and seeds.

    Attributes:
        difference: Of the shares of wrong slices.
        difference_interval: 95 %, subjects and each side's seeds drawn.
        ratio: Of the shares; None where the other is never wrong.
        ratio_interval: 95 %, drawn alike; infinite where the other's draw has none.
        p: Two-sided, of the clustered McNemar test of these trained networks on other
            subjects; of other trainings it says nothing.
    """

    difference: float
    difference_interval: Interval
    ratio: float | None
    ratio_interval: Interval
    p: float


def by_subject(
    wrong: Sequence[NDArray[np.bool_] | NDArray[np.float64]],
    subjects: NDArray[np.str_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts wrong slices of each subject, (seeds, subjects), and all, (subjects,).

    Args:
        wrong: (slices,) of each seed; or their losses, which are summed alike.
        subjects: (slices,) whose they are.
    """
    _, index = np.unique(subjects, return_inverse=True)
    errors = np.stack([np.bincount(index, each.astype(float)) for each in wrong])
    counts = np.bincount(index)
    return errors.astype(np.float64), counts.astype(np.float64)


def seed_interval(
    errors: NDArray[np.float64], counts: NDArray[np.float64], *, seed: int = 0
) -> Interval:
    """95 % interval of the mean share of wrong slices, subjects and seeds drawn.

    Args:
        errors: (seeds, subjects) of `by_subject`.
        counts: (subjects,).
        seed: Of the draws.
    """
    drawn = _drawn(np.vstack([errors, counts]), seed)
    return _percentiles(_over_seeds(drawn[:, :-1], [seed, 1]) / drawn[:, -1])


def compare(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    counts: NDArray[np.float64],
    *,
    seed: int = 0,
) -> Pair:
    """Compares two networks, each trained several times, on the same slices.

    The intervals draw subjects, the same ones for both networks, and trainings: each
    side's seeds anew, since a seed starts two networks no more alike than two seeds
    do. Of a few seeds, such draws spread a little less than trainings do. The test is
    McNemar's for clustered pairs: the differences of the subjects, means over the
    seeds, are the independent draws (Obuchowski 1998, Statistics in Medicine 17:1495).

    Args:
        one: (seeds, subjects) of `by_subject`.
        other: The same of the other network, with as many seeds or others.
        counts: (subjects,).
        seed: Of the draws.
    """
    errors = np.array(
        [each.sum() / (len(each) * counts.sum()) for each in (one, other)]
    )
    drawn = _drawn(np.vstack([one, other, counts]), seed)
    mine = _over_seeds(drawn[:, : len(one)], [seed, 1])
    theirs = _over_seeds(drawn[:, len(one) : -1], [seed, 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = mine / theirs
    return Pair(
        difference=float(errors[0] - errors[1]),
        difference_interval=_percentiles((mine - theirs) / drawn[:, -1]),
        ratio=float(errors[0] / errors[1]) if errors[1] else None,
        # Where neither is wrong the draw says nothing: the worse is assumed.
        ratio_interval=_percentiles(np.nan_to_num(ratios, nan=np.inf, posinf=np.inf)),
        p=clustered_mcnemar(one.mean(axis=0) - other.mean(axis=0)),
    )


def clustered_mcnemar(differences: NDArray[np.float64]) -> float:
    """Two-sided probability that both networks are wrong equally often.

    Args:
        differences: (subjects,) wrong slices of the one less those of the other.
    """
    spread = np.sqrt((differences**2).sum())
    if spread == 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(differences.sum()) / spread))


def _drawn(columns: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(draws, columns): sums over subjects drawn with replacement."""
    subjects = columns.shape[1]
    random = np.random.default_rng([seed, 0])
    even = np.full(subjects, 1 / subjects)
    parts = [
        random.multinomial(subjects, even, size=_AT_A_TIME) @ columns.T
        for _ in range(DRAWS // _AT_A_TIME)
    ]
    return np.concatenate(parts)


def _over_seeds(drawn: NDArray[np.float64], key: list[int]) -> NDArray[np.float64]:
    """(draws,): means of (draws, seeds) over seeds drawn with replacement."""
    chosen = np.random.default_rng(key).integers(drawn.shape[1], size=drawn.shape)
    means: NDArray[np.float64] = np.take_along_axis(drawn, chosen, axis=1).mean(axis=1)
    return means


def _percentiles(values: NDArray[np.float64]) -> Interval:
    # No interpolation: between infinite ratios there would be no number.
    low, high = np.percentile(values, [2.5, 97.5], method="higher")
    return float(low), float(high)
