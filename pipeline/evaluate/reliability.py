"""Whether probabilities mean what they say: bins of equal mass, and their error."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.intervals import Interval, Resamples, percentiles

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


def error_interval(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], resamples: Resamples
) -> Interval | None:
    """95 % interval of the calibration error, subjects drawn anew, bins kept.

    Gaps are counted without their sign, so every draw's error lies above what it was
    drawn from, as that lies above the truth. The interval is therefore the reflected
    one, `2 x - q`, which takes this off again, and ends at 0.
    """
    bins = bins_of(confidence)
    gaps = sum(
        np.abs(resamples.sums((confidence - right) * (bins == number)))
        for number in range(bins.max() + 1)
    )
    drawn = percentiles(np.asarray(gaps), resamples.sums(np.ones(len(right))))
    if drawn is None:
        return None
    found = calibration_error(confidence, right)
    return [max(0.0, 2 * found - drawn[1]), max(0.0, 2 * found - drawn[0])]


def perfect_error(confidence: NDArray[np.float64]) -> float:
    """The calibration error that perfect probabilities would show, by chance alone.

    With few rows a bin's accuracy scatters around its confidence; what is measured
    cannot be told from this. Mean of simulated truths, always the same.
    """
    rng, bins = np.random.default_rng(0), bins_of(confidence)
    errors = []
    for _ in range(_PERFECT_DRAWS):
        right = rng.random(len(confidence)) < confidence
        errors.append(np.abs(np.bincount(bins, confidence - right)).sum())
    return float(np.mean(errors) / len(confidence))


def calibration(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], resamples: Resamples
) -> dict[str, Any]:
    """Calibration error with its interval, what chance alone would show, the bins."""
    return {
        "ece": calibration_error(confidence, right),
        "ece_interval": error_interval(confidence, right, resamples),
        "ece_of_perfect": perfect_error(confidence),
        "bins": reliability(confidence, right),
    }
