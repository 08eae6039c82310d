"""Which hyper-parameters matter: what a forest loses when it no longer knows one."""

import dataclasses
import functools
import statistics
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tuner.trials import Trial

FEWEST: Final = 8
"""Completed trials; of fewer, chance says more than any hyper-parameter."""

MOST: Final = 500
"""Trials that are looked at, the newest: more cost seconds and change no order."""

BUDGET: Final = "epochs"
"""Column of what each trial was granted, where it differs: Hyperband gives the best
trials more, and what that does must not be taken for a hyper-parameter's doing."""

_FOLDS: Final = 4
_TREES: Final = 30
_SHUFFLES: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Importance:
    """How much each hyper-parameter says about the loss.

    Attributes:
        trials: Completed ones that were looked at.
        explained: Share of the variance of the trials' ranks that the forest explains
            on trials it has not seen; None where there are too few trials.
        rows: Name, share that is lost when its values are shuffled among the trials,
            and the standard deviation of that over folds; the largest first. Empty
            where there are too few trials or the forest explains nothing.
        note: Why there are no rows, or empty.
    """

    trials: int
    explained: float | None
    rows: tuple[tuple[str, float, float], ...]
    note: str


def importance(trials: Sequence[Trial]) -> Importance:
    """Measures on held-out trials how a forest orders them with and without a column.

    Ranks stand for the losses, or one that diverged would be all that is explained.

    Args:
        trials: Of one search; those that are not completed are left out.
    """
    done = [trial for trial in trials if trial.score is not None][-MOST:]
    if len(done) < FEWEST:
        return Importance(
            len(done),
            None,
            (),
            f"too few: {len(done)} completed trials, {FEWEST} are needed",
        )
    names = sorted({name for trial in done for name in trial.values})
    columns = {name: [trial.values.get(name) for trial in done] for name in names}
    columns[BUDGET] = [trial.epochs for trial in done]
    varied = {
        name: tuple(_numbers(values))
        for name, values in columns.items()
        if len({str(value) for value in values if value is not None}) > 1
    }
    if not varied:
        return Importance(len(done), None, (), "all completed trials are alike")
    scores = tuple(trial.score for trial in done if trial.score is not None)
    return _measure(tuple(varied.items()), scores)


def _numbers(values: Sequence[Any]) -> list[float]:
    """Numbers as they are; words by their place in the alphabet.

    A layer that is not there gets the median of the others, so that its width does not
    tell the number of layers, which has a column of its own.
    """
    there = [value for value in values if value is not None]
    if not all(isinstance(value, int | float) for value in there):
        order = sorted(set(map(str, there)))
        values = [None if one is None else order.index(str(one)) for one in values]
        there = [value for value in values if value is not None]
    middle = statistics.median(there)
    return [float(middle if value is None else value) for value in values]


@functools.lru_cache(maxsize=1)  # a page is written anew while no trial has ended
def _measure(
    columns: tuple[tuple[str, tuple[float, ...]], ...], scores: tuple[float, ...]
) -> Importance:
    # Here, not above: it takes a second, and a page of few trials needs none of it.
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    inputs = np.array([values for _, values in columns], np.float64).T
    ranks = np.argsort(np.argsort(scores)) / (len(scores) - 1)
    explained: list[float] = []
    losses: list[NDArray[np.float64]] = []
    for train, test in KFold(_FOLDS, shuffle=True, random_state=0).split(inputs):
        forest = ExtraTreesRegressor(_TREES, min_samples_leaf=2, random_state=0)
        forest.fit(inputs[train], ranks[train])
        explained.append(forest.score(inputs[test], ranks[test]))
        lost = permutation_importance(
            forest, inputs[test], ranks[test], n_repeats=_SHUFFLES, random_state=0
        )
        losses.append(lost.importances_mean)
    share = float(np.mean(explained))
    if share <= 0:
        return Importance(
            len(scores),
            share,
            (),
            f"not told: from {len(scores)} trials a forest cannot foresee the loss of "
            "others",
        )
    means, spreads = np.mean(losses, axis=0), np.std(losses, axis=0)
    rows = [
        (name, float(mean), float(spread))
        for (name, _), mean, spread in zip(columns, means, spreads, strict=True)
    ]
    rows.sort(key=lambda row: -row[1])
    return Importance(len(scores), share, tuple(rows), "")
