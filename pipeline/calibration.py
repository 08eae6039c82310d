"""Fits what turns logits into probabilities that can be trusted.

One temperature cannot serve slices and volumes alike: the slices of a scan agree with
each other, so their evidence does not simply add up. The temperature is fitted on
single slices, the correlation `rho` on volumes (Guo et al. 2017 for the first).
"""

import logging
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from pipeline.runs import Calibration
from pipeline.scoring import Scores, by_scan, log_softmax

_log = logging.getLogger(__name__)

LEAST_ACCEPT: Final = 0.5
"""A winner that is not even likelier than not is never accepted."""


def calibrate(scores: Scores, risk: float) -> Calibration:
    """Fits temperature, correlation and acceptance on validation scores.

    Args:
        scores: Of the validation split, which the network was not trained on.
        risk: Share of wrong verdicts to expect among the accepted ones, in (0, 1). It
            is expected from the calibrated probabilities, not counted: a hundred
            volumes with three errors tell little about two in a hundred.
    """
    temperature = _minimise(lambda value: _slice_loss(scores, value), -2.0, 2.0)
    logs, labels, counts = _volumes(scores, temperature)

    def volume_loss(rho: float) -> float:
        probabilities = _volume_probabilities(logs, counts, rho)
        return _loss(np.log(probabilities.clip(1e-12)), labels)

    rho = _minimise(volume_loss, -3.0, 0.0)
    probabilities = _volume_probabilities(logs, counts, rho)
    return Calibration(temperature, rho, _acceptance(probabilities, risk))


def _minimise(loss: Callable[[float], float], low: float, high: float) -> float:
    """The value between 10^low and 10^high where the loss is least."""
    found = optimize.minimize_scalar(
        lambda power: loss(10**power), bounds=(low, high), method="bounded"
    )
    return float(10**found.x)


def _slice_loss(scores: Scores, temperature: float) -> float:
    return _loss(log_softmax(scores.logits, temperature), scores.labels)


def _loss(logs: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean negative log-probability of the truth."""
    return float(-logs[np.arange(len(labels)), labels].mean())


def _volumes(
    scores: Scores, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Summed log-probabilities, label and number of slices of each scan."""
    logs = log_softmax(scores.logits, temperature)
    rows = list(by_scan(scores).values())
    return (
        np.stack([logs[members].sum(axis=0) for members in rows]),
        np.array([scores.labels[members[0]] for members in rows]),
        np.array([len(members) for members in rows]),
    )


def _volume_probabilities(
    logs: NDArray[np.float64], counts: NDArray[np.int64], rho: float
) -> NDArray[np.float64]:
    weighted = logs / (1 + (counts - 1) * rho)[:, None]
    return np.exp(log_softmax(weighted.astype(np.float32), 1.0))


def _acceptance(probabilities: NDArray[np.float64], risk: float) -> float:
    """The lowest threshold above which verdicts are wrong no more than `risk`."""
    winner = np.sort(probabilities.max(axis=1))
    thresholds = np.unique([LEAST_ACCEPT, *winner[winner > LEAST_ACCEPT]])
    for threshold in thresholds:
        accepted = winner[winner >= threshold]
        if accepted.size and (1 - accepted).mean() <= risk:
            return float(threshold)
    _log.warning(
        "no probability of %d validation scans promises a risk of %g: only the surest "
        "verdict is accepted, from %.4f on; train longer, or allow a higher risk",
        *(len(winner), risk, thresholds[-1]),
    )
    return float(thresholds[-1])
