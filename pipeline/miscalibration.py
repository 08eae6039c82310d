"""Whether one network's probabilities are worse calibrated than another's."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.intervals import Resamples
from pipeline.evaluate.reliability import bins_of, calibration_error
from pipeline.judged import Judged


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorPair:
    """Expected calibration errors of two networks on the same slices or scans.

    Attributes:
        one: Of the one.
        other: Of the other.
        interval: 95 % of their difference: subjects drawn anew, the same for both.
    """

    one: float
    other: float
    interval: tuple[float, float]

    @property
    def difference(self) -> float:
        """The one's less the other's."""
        return self.one - self.other


def compare_errors(one: Judged, other: Judged) -> ErrorPair:
    """Compares what two networks said of the same rows.

    Gaps between probability and accuracy are counted without their sign, so an error
    drawn anew lies above the one measured, the more the smaller that is. Only the
    spread of the draws is taken, around the difference that was measured.

    Args:
        one: Of one network.
        other: The same rows, of the other.
    """
    resamples = Resamples.of(one.subjects)
    measured = [
        calibration_error(each.confidence, ~each.wrong) for each in (one, other)
    ]
    drawn = _drawn(one, resamples) - _drawn(other, resamples)
    low, high = np.percentile(drawn - drawn.mean(), [2.5, 97.5])
    middle = measured[0] - measured[1]
    return ErrorPair(
        measured[0], measured[1], (float(middle + low), float(middle + high))
    )


def _drawn(judged: Judged, resamples: Resamples) -> NDArray[np.float64]:
    """(draws,) errors of subjects drawn anew, in the bins of all of them."""
    gaps, bins = judged.confidence - ~judged.wrong, bins_of(judged.confidence)
    found = [
        np.abs(resamples.sums(gaps * (bins == number)))
        for number in range(bins.max() + 1)
    ]
    return np.sum(found, axis=0) / resamples.sums(np.ones(len(gaps)))
