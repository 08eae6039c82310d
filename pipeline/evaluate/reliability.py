"""Whether probabilities mean what they say: bins of equal mass, and their error."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.answers import Answers
from pipeline.evaluate.intervals import Resamples, percentiles

BINS: Final = 15
_PERFECT_DRAWS: Final = 200


def bins_of(confidence: NDArray[np.float64], bins: int = BINS) -> NDArray[np.intp]:
    """Numbers rows by bins of equal mass; equal values share a bin.

    Args:
        confidence: (n,) probability of the likeliest class.
        bins: Number of bins, at most: ties and few rows make fewer.
    """
    ranked = np.sort(confidence)
    edges = np.unique(ranked[[len(ranked) * i // bins for i in range(1, bins)]])
    return np.unique(
        np.searchsorted(edges, confidence, side="right"), return_inverse=True
    )[1]


def reliability(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Bins with `count`, mean `confidence`, `accuracy`, and the `low` and `high` ends.

    Args:
        confidence: (n,) probability of the likeliest class, n >= 1.
        right: (n,) whether that class is the true one.
    """
    bins = bins_of(confidence)
    return [
        {
            "count": int(inside.sum()),
            "confidence": float(confidence[inside].mean()),
            "accuracy": float(right[inside].mean()),
            "low": float(confidence[inside].min()),
            "high": float(confidence[inside].max()),
        }
        for inside in (bins == number for number in range(bins.max() + 1))
    ]


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> float:
    """Expected calibration error: mean gap of confidence and accuracy over the bins."""
    bins = bins_of(confidence)
    gaps = np.bincount(bins, confidence - right)
    return float(np.abs(gaps).sum() / len(right))


def upper_limit(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], resamples: Resamples
) -> float:
    """Upper end of the middle 95 % of the errors that subjects drawn anew show.

    Bins are kept. Gaps are counted without their sign, so an error drawn anew lies
    above the one that it is drawn from, as that lies above the truth: as an upper limit
    of the bins' error this is on the safe side; a lower one it would not give.
    """
    bins = bins_of(confidence)
    gaps = sum(
        np.abs(resamples.sums((confidence - right) * (bins == number)))
        for number in range(bins.max() + 1)
    )
    drawn = percentiles(np.asarray(gaps), resamples.sums(np.ones(len(right))))
    assert drawn is not None, "every draw has rows"
    return drawn[1]


def perfect_error(confidence: NDArray[np.float64], scans: NDArray[np.generic]) -> float:
    """The calibration error that perfect probabilities would show, by chance alone.

    With few rows a bin's accuracy scatters around its confidence; what is measured
    cannot be told from this. Rows of one scan are right and wrong together, as far as
    their probabilities allow: one threshold is drawn for all of them.

    Args:
        confidence: (n,) probability of the likeliest class.
        scans: (n,) the scan that each row belongs to.

    Returns:
        Mean of simulated truths, always the same.
    """
    rng, bins = np.random.default_rng(0), bins_of(confidence)
    names, members = np.unique(scans, return_inverse=True)
    errors = []
    for _ in range(_PERFECT_DRAWS):
        right = rng.random(len(names))[members] < confidence
        errors.append(np.abs(np.bincount(bins, confidence - right)).sum())
    return float(np.mean(errors) / len(confidence))


def calibration(answers: Answers, resamples: Resamples) -> dict[str, Any]:
    """Calibration error, its upper limit, what chance alone would show, the bins.

    Args:
        answers: One row a slice, a scan, or a draw of a scan.
        resamples: Of the same rows.
    """
    confidence, right = answers.confidence, answers.right
    return {
        "ece": calibration_error(confidence, right),
        "ece_upper": upper_limit(confidence, right, resamples),
        "ece_of_perfect": perfect_error(confidence, answers.scans),
        "bins": reliability(confidence, right),
    }
