"""When the goal against the study counts as reached."""

import numpy as np
import pytest

from pipeline.experiments.measured import Measured, Training
from pipeline.experiments.report import LEAST_SEEDS, LEAST_SLICES, study_error
from pipeline.experiments.rows import OURS, REFERENCE

TRAINING = Training(1, 1.0, 1, 1, 1, 0.0, 0.0)


def networks(
    wrong: float, slices: int = LEAST_SLICES, seeds: int = LEAST_SEEDS
) -> dict[int, Measured]:
    subjects = np.repeat(np.arange(slices // 100), 100).astype(str)
    each = {}
    for seed in range(seeds):
        drawn = np.random.default_rng(seed).random(len(subjects)) < wrong
        each[seed] = Measured(drawn, drawn * 1.0, subjects, TRAINING, {})
    return each


@pytest.mark.parametrize(
    ("ours", "sealed", "ok"),
    [
        (networks(0.02), True, True),
        (networks(0.02), False, False),
        (networks(0.1), True, False),
        (networks(0.02, seeds=LEAST_SEEDS - 1), True, False),
    ],
)
def test_the_goal_is_reached_on_enough_sealed_slices_and_seeds_alone(
    ours: dict[int, Measured], sealed: bool, ok: bool
) -> None:
    found = {OURS: ours, REFERENCE: networks(0.2)}
    assert study_error(found, sealed=sealed)["ok"] is ok


def test_too_few_slices_reach_nothing() -> None:
    found = {OURS: networks(0.02, 5000), REFERENCE: networks(0.2, 5000)}
    assert not study_error(found, sealed=True)["ok"]
