"""Figures of one set of answers: slices or scans."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from pipeline.contrasts import ACCEPTED
from pipeline.evaluate.answers import Answers
from pipeline.evaluate.intervals import Interval, Resamples, exact

TINY: Final = 1e-300
"""Below it a probability counts as this much: the loss stays finite."""


def losses(answers: Answers) -> NDArray[np.float64]:
    """(n,) negative log-probability of the truth."""
    truth = answers.probabilities[np.arange(len(answers)), answers.labels]
    return -np.log(np.maximum(truth, TINY))


def brier(answers: Answers) -> NDArray[np.float64]:
    """(n,) squared distance from the truth, summed over classes: 0 best, 2 worst."""
    truth = np.eye(answers.probabilities.shape[1])[answers.labels]
    return ((answers.probabilities - truth) ** 2).sum(axis=1)


def figures(answers: Answers, resamples: Resamples) -> dict[str, Any]:
    """Count, loss, accuracy and Brier score, each with its interval."""
    found: dict[str, Any] = {
        "count": len(answers),
        "subjects": len(set(answers.subjects.tolist())),
    }
    columns = {
        "loss": losses(answers),
        "accuracy": answers.right,
        "brier": brier(answers),
    }
    for name, values in columns.items():
        found[name] = float(values.mean())
        found[f"{name}_interval"] = resamples.of_mean(values)
    return found


def confusion(answers: Answers, classes: Sequence[str]) -> list[list[int]]:
    """Counts of the likeliest class (columns) by the true one (rows)."""
    columns = list(range(len(classes)))
    table = metrics.confusion_matrix(answers.labels, answers.winners, labels=columns)
    counts: list[list[int]] = table.tolist()
    return counts


def areas(answers: Answers, classes: Sequence[str]) -> dict[str, float | None]:
    """Areas under ROC curves: each class against the rest, and brains against `other`.

    None where only one side occurs. `brain` ranks by the probability that it is one
    of T1, T2 and FLAIR.
    """
    sides = _sides(answers, classes)
    return {name: _area(positive, score) for name, (positive, score) in sides.items()}


def area_intervals(
    answers: Answers, classes: Sequence[str], resamples: Resamples
) -> dict[str, Interval | None]:
    """95 % intervals of `areas`."""
    sides = _sides(answers, classes)
    return {name: resamples.of_area(*side) for name, side in sides.items()}


def _sides(
    answers: Answers, classes: Sequence[str]
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Which rows should rank higher, and by what score they are ranked."""
    brains = [column for column, name in enumerate(classes) if name in ACCEPTED]
    each = {
        name: (answers.labels == column, answers.probabilities[:, column])
        for column, name in enumerate(classes)
    }
    is_brain = np.isin(answers.labels, brains)
    return each | {"brain": (is_brain, answers.probabilities[:, brains].sum(1))}


def _area(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float | None:
    if positive.all() or not positive.any():
        return None
    return float(metrics.roc_auc_score(positive, score))


def false_accepts(
    answers: Answers, classes: Sequence[str], accept: float, resamples: Resamples
) -> dict[str, Any]:
    """How many that are no T1, T2 or FLAIR were accepted as one.

    Returns:
        `rate` is None where there is none of them.
    """
    brains = [column for column, name in enumerate(classes) if name in ACCEPTED]
    strange = ~np.isin(answers.labels, brains)
    fooled = np.isin(answers.winners, brains) & (answers.confidence >= accept)
    count, errors = int(strange.sum()), int((strange & fooled).sum())
    return {
        "count": count,
        "accepted": errors,
        "rate": errors / count if count else None,
        "interval": resamples.of_mean(fooled, strange),
        "exact": exact(errors, count),
    }
