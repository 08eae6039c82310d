"""What is wrong among the accepted, and how many are accepted, for every threshold."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.answers import Answers
from pipeline.evaluate.intervals import Resamples, exact

POINTS: Final = 101
"""Of the stored curve; the figures come from the whole one."""


def risk(answers: Answers, accept: float, resamples: Resamples) -> dict[str, Any]:
    """Share of wrong ones among those accepted, and the share that is accepted.

    Args:
        answers: One row a scan.
        accept: The least probability of the winner.
        resamples: Of the same rows.

    Returns:
        `risk` is None where nothing is accepted; `exact` is its interval as if scans
        were independent, which tells something where no error was seen.
    """
    taken = answers.confidence >= accept
    wrong = taken & ~answers.right
    accepted, errors = int(taken.sum()), int(wrong.sum())
    return {
        "accept": accept,
        "accepted": accepted,
        "errors": errors,
        "risk": errors / accepted if accepted else None,
        "risk_interval": resamples.of_mean(~answers.right, taken),
        "risk_exact": exact(errors, accepted),
        "coverage": accepted / len(answers),
        "coverage_interval": resamples.of_mean(taken),
    }


def curve(answers: Answers) -> dict[str, Any]:
    """Risk against coverage, from the surest scan to all of them.

    Returns:
        `area` under the whole curve (0 is best), and `points` with `coverage`, `risk`
        and `threshold`; scans of equal probability are accepted together, all at the
        risk that they end at, whatever their order.
    """
    order = np.argsort(-answers.confidence, kind="stable")
    confidence = answers.confidence[order]
    risks = np.cumsum(~answers.right[order]) / np.arange(1, len(order) + 1)
    last_of_ties = np.append(confidence[1:] < confidence[:-1], True)
    ends = np.flatnonzero(last_of_ties)
    shown = ends[_spread(len(ends))]
    return {
        "area": float(np.repeat(risks[ends], np.diff(ends, prepend=-1)).mean()),
        "points": [
            {
                "coverage": float((end + 1) / len(order)),
                "risk": float(risks[end]),
                "threshold": float(confidence[end]),
            }
            for end in shown
        ],
    }


def _spread(count: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(int))
