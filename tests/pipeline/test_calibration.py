import numpy as np
import pytest

from pipeline.calibration import calibrate
from pipeline.runs import Calibration
from pipeline.scoring import Scores, by_scan, verdict_of

CLASSES = ("T1", "T2", "FLAIR", "other")


def scores(
    *,
    sharpness: float,
    shared: float,
    seed: int = 0,
    scans: int = 2000,
    slices: int = 8,
) -> Scores:
    """Logits whose true temperature is `sharpness` and whose slices share an error.

    A slice's true log-odds are 2 * (evidence); what is shared between the slices of a
    scan cannot be averaged away.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, scans)
    truth = np.eye(4)[labels] * 2.0
    common = rng.normal(0, 1, (scans, 1, 4)) * np.sqrt(2.0 * shared)
    own = rng.normal(0, 1, (scans, slices, 4)) * np.sqrt(2.0 * (1 - shared))
    logits = (truth[:, None] + common + own) * sharpness
    return Scores(
        logits=logits.reshape(-1, 4).astype(np.float32),
        labels=np.repeat(labels, slices),
        scans=np.repeat([f"scan-{n:04d}" for n in range(scans)], slices),
        sources=np.repeat(["test"], scans * slices),
    )


def volume_error(scored: Scores, calibration: Calibration) -> float:
    """Mean confidence less accuracy over volumes."""
    verdicts, right = [], []
    for members in by_scan(scored).values():
        verdict = verdict_of(scored.logits[members], CLASSES, calibration)
        verdicts.append(verdict.probability)
        best = max(verdict.probabilities, key=verdict.probabilities.__getitem__)
        right.append(best == CLASSES[scored.labels[members[0]]])
    return abs(float(np.mean(verdicts) - np.mean(right)))


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_overconfidence(sharpness: float) -> None:
    fitted = calibrate(scores(sharpness=sharpness, shared=0.0), 0.02)
    assert fitted.temperature == pytest.approx(sharpness, rel=0.15)


@pytest.mark.parametrize("shared", [0.0, 0.3, 0.9])
def test_volumes_are_as_right_as_they_are_sure(shared: float) -> None:
    fitted = calibrate(scores(sharpness=2.0, shared=shared), 0.02)
    unseen = scores(sharpness=2.0, shared=shared, seed=1)
    assert volume_error(unseen, fitted) < 0.03


def test_slices_that_agree_by_nature_count_for_less() -> None:
    low, high = (
        calibrate(scores(sharpness=1.0, shared=shared), 0.02).rho
        for shared in (0.05, 0.8)
    )
    assert low < 0.2 < high


def test_the_acceptance_keeps_the_risk() -> None:
    scored = scores(sharpness=1.0, shared=0.5)
    fitted = calibrate(scored, 0.02)
    accepted = wrong = 0
    for members in by_scan(scored).values():
        verdict = verdict_of(scored.logits[members], CLASSES, fitted)
        if verdict.contrast != "unsure":
            accepted += 1
            wrong += verdict.contrast != CLASSES[scored.labels[members[0]]]
    assert fitted.accept >= 0.5
    assert accepted > 500
    assert wrong / accepted <= 0.03


def test_a_lower_risk_asks_for_a_higher_probability() -> None:
    scored = scores(sharpness=1.0, shared=0.5)
    loose, strict = (calibrate(scored, risk) for risk in (0.1, 0.01))
    assert loose.temperature == strict.temperature
    assert loose.accept < strict.accept
