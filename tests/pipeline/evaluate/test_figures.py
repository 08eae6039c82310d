"""Loss, accuracy, ROC areas, calibration, risk: against hand and other libraries."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from pipeline.evaluate.answers import Answers
from pipeline.evaluate.coverage import curve, risk
from pipeline.evaluate.groups import Origin, by_group, origin_of
from pipeline.evaluate.intervals import Resamples, exact
from pipeline.evaluate.metrics import areas, brier, confusion, false_accepts, figures
from pipeline.evaluate.reliability import (
    BINS,
    calibration,
    calibration_error,
    perfect_error,
    reliability,
    upper_limit,
)

CLASSES = ("T1", "T2", "FLAIR", "other")


@pytest.fixture
def random_answers(build):
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.ones(4), 300)
    labels = rng.integers(0, 4, 300).tolist()
    subjects = [f"s{row // 10}" for row in range(300)]
    return build(shares.tolist(), labels, subjects)


def test_loss_brier_and_areas_equal_those_of_scikit_learn(random_answers) -> None:
    found = figures(random_answers, Resamples.of(random_answers.subjects))
    shares, labels = random_answers.probabilities, random_answers.labels
    assert found["loss"] == pytest.approx(log_loss(labels, shares))
    assert found["accuracy"] == pytest.approx((shares.argmax(1) == labels).mean())
    one_by_one = [
        brier_score_loss(labels == column, shares[:, column]) for column in range(4)
    ]
    assert brier(random_answers).mean() == pytest.approx(sum(one_by_one))
    found_areas = areas(random_answers, CLASSES)
    assert found_areas["T2"] == pytest.approx(roc_auc_score(labels == 1, shares[:, 1]))
    brain = roc_auc_score(labels != 3, 1 - shares[:, 3])
    assert found_areas["brain"] == pytest.approx(brain)


def test_a_truth_that_was_ruled_out_costs_a_finite_loss(build) -> None:
    answers = build([[1.0, 0.0, 0.0, 0.0]], [1])
    found = figures(answers, Resamples.of(answers.subjects))
    assert np.isfinite(found["loss"])
    assert areas(answers, CLASSES)["T1"] is None


def test_confusion_risk_and_false_accepts_worked_by_hand(build) -> None:
    answers = build(
        [
            [0.9, 0.1, 0.0, 0.0],
            [0.5, 0.3, 0.2, 0.0],
            [0.1, 0.8, 0.1, 0.0],
            [0.0, 0.7, 0.3, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ],
        [0, 1, 1, 3, 3],
    )
    assert confusion(answers, CLASSES) == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 1, 0, 1],
    ]
    resamples = Resamples.of(answers.subjects)
    found = risk(answers, 0.6, resamples)
    assert (found["accepted"], found["errors"]) == (4, 1)
    assert found["risk"] == pytest.approx(1 / 4)
    assert found["coverage"] == pytest.approx(4 / 5)
    assert found["risk_exact"] == exact(1, 4)
    fooled = false_accepts(answers, CLASSES, 0.6, resamples)
    assert (fooled["count"], fooled["accepted"]) == (2, 1)
    assert false_accepts(answers, CLASSES, 0.75, resamples)["accepted"] == 0


def test_the_curve_accepts_equal_probabilities_together(build) -> None:
    sure = [0.9, 0.8, 0.8, 0.6]
    rows = [[share, 1 - share, 0.0, 0.0] for share in sure]
    answers = build(rows, [0, 1, 0, 1])
    points = curve(answers)["points"]
    assert [point["coverage"] for point in points] == [0.25, 0.75, 1.0]
    assert [point["risk"] for point in points] == pytest.approx([0, 1 / 3, 0.5])
    assert [point["threshold"] for point in points] == [0.9, 0.8, 0.6]


def test_the_area_does_not_depend_on_the_order_of_equal_probabilities(build) -> None:
    rows = [[share, 1 - share, 0.0, 0.0] for share in (0.9, 0.8, 0.8, 0.6)]
    first, second = (
        curve(build(rows, labels))["area"] for labels in ([0, 1, 0, 1], [0, 0, 1, 1])
    )
    assert first == second == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 2) / 4)


def test_bins_hold_equally_many_and_the_error_is_that_of_a_plain_sum() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.permutation(np.linspace(0.3, 0.99, 150))
    right = rng.random(150) < confidence
    bins = reliability(confidence, right)
    assert [one["count"] for one in bins] == [150 // BINS] * BINS
    order = np.argsort(confidence)
    plain = sum(
        abs(confidence[part].mean() - right[part].mean()) * len(part) / 150
        for part in np.split(order, BINS)
    )
    assert calibration_error(confidence, right) == pytest.approx(plain)


def test_equal_probabilities_share_a_bin_whatever_their_order() -> None:
    confidence = np.full(60, 0.9)
    right = np.arange(60) < 54
    assert len(reliability(confidence, right)) == 1
    assert calibration_error(confidence, right) == pytest.approx(0)


def told(confidence: np.ndarray, right: np.ndarray, subjects: np.ndarray) -> Answers:
    """Answers whose likeliest class has these probabilities, each row its own scan."""
    rows = np.stack([confidence, *[(1 - confidence) / 3] * 3], axis=1)
    return Answers(
        probabilities=rows,
        labels=np.where(right, 0, 1),
        scans=np.arange(len(rows)).astype(str),
        subjects=subjects.astype(str),
        sources=subjects.astype(str),
        planes=np.full(len(rows), -1),
    )


def test_the_error_that_chance_makes_falls_with_more_rows() -> None:
    rng = np.random.default_rng(2)
    few, many = rng.uniform(0.5, 1, 300), rng.uniform(0.5, 1, 30000)
    numbers = np.arange(30000)
    assert perfect_error(many, numbers) < 0.012 < 0.05 < perfect_error(few, few)
    answers = told(many, rng.random(30000) < many, numbers // 100)
    found = calibration(answers, Resamples.of(answers.subjects))
    assert found["ece"] < 2 * found["ece_of_perfect"]


def test_draws_of_one_scan_count_as_one_for_chance() -> None:
    once = np.random.default_rng(6).uniform(0.5, 1, 600)
    scans = np.arange(600)
    alone = perfect_error(once, scans)
    repeated = perfect_error(np.tile(once, 10), np.tile(scans, 10))
    apart = perfect_error(np.tile(once, 10), np.arange(6000))
    assert repeated == pytest.approx(alone, rel=0.1)
    assert apart < alone / 2


@pytest.mark.parametrize("lift", [0.0, 0.02, 0.1])
def test_the_true_calibration_error_lies_below_its_upper_limit(lift: float) -> None:
    """200 simulated test sets of 200 subjects whose rows err together."""
    people = np.repeat(np.arange(200), 5)
    resamples = Resamples.of(people.astype(str), 400)
    rng = np.random.default_rng(9)
    below, above_own = 0, 0
    for _ in range(200):
        confidence = rng.uniform(0.7, 0.99, 1000)
        right = rng.random(200)[people] < confidence - lift
        limit = upper_limit(confidence, right, resamples)
        below += lift <= limit
        above_own += calibration_error(confidence, right) <= limit
    assert below >= 0.95 * 200
    assert above_own == 200


def test_exact_intervals_are_clopper_and_pearson() -> None:
    low, high = exact(23, 23)
    assert high == 1
    assert low == pytest.approx(0.025 ** (1 / 23))
    low, high = exact(4, 23)
    assert low == pytest.approx(stats.beta.ppf(0.025, 4, 20))
    assert high == pytest.approx(stats.beta.ppf(0.975, 5, 19))
    assert exact(0, 0) is None


def test_subjects_drawn_whole_make_wider_intervals_than_rows() -> None:
    right = np.repeat(np.arange(20) % 4 > 0, 50)
    people = np.repeat(np.arange(20), 50).astype(str)
    apart = np.arange(1000).astype(str)
    low, high = Resamples.of(people).of_mean(right)
    narrow_low, narrow_high = Resamples.of(apart).of_mean(right)
    assert low < 0.75 < high
    assert high - low > 3 * (narrow_high - narrow_low)
    # The mean of 20 of which a quarter is wrong: 1.96 standard errors each way.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 20), rel=0.15)


def test_intervals_are_the_same_every_time_and_skip_absent_groups() -> None:
    people = np.array(["a", "b", "c"])
    values = np.array([True, False, True])
    chosen = np.array([True, True, False])
    assert Resamples.of(people).of_mean(values) == Resamples.of(people).of_mean(values)
    assert Resamples.of(people).of_mean(values, chosen) == [0.0, 1.0]
    assert Resamples.of(people).of_mean(values, np.zeros(3, bool)) is None


def test_where_all_are_right_each_subject_counts_once() -> None:
    people = np.repeat(np.arange(10), 30).astype(str)
    every = np.ones(300, bool)
    assert Resamples.of(people).of_mean(every) == exact(10, 10)
    assert Resamples.of(people).of_mean(~every) == exact(0, 10)
    assert Resamples.of(people).of_mean(np.ones(300)) == [1.0, 1.0]  # no share


def test_an_area_s_interval_is_that_of_drawing_subjects_and_measuring_anew() -> None:
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(30), 4).astype(str)
    positive = np.repeat(np.arange(30) % 2 == 0, 4)
    score = np.round(rng.normal(positive, 1.0), 1)  # rounded, so that some are tied
    resamples = Resamples.of(people)
    low, high = resamples.of_area(positive, score)
    drawn = [
        roc_auc_score(positive, score, sample_weight=weights[resamples.members])
        for weights in resamples.weights
    ]
    np.testing.assert_allclose([low, high], np.percentile(drawn, [2.5, 97.5]))
    assert resamples.of_area(np.arange(120) < 4, score) is None  # one person alone


def test_one_person_alone_has_no_interval() -> None:
    people = np.array(["a", "a", "b"])
    values, alone = np.array([True, False, True]), np.array([True, True, False])
    assert Resamples.of(people).of_mean(values, alone) is None
    assert Resamples.of(np.array(["a", "a"])).of_mean(values[:2]) is None


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("phantom/T1/mprage", Origin("phantom/T1/mprage", "unknown", "none")),
        ("phantom/T1/mprage/3T", Origin("phantom/T1/mprage", "3T", "none")),
        ("phantom/T1/mprage/1.5T/ghost", Origin("phantom/T1/mprage", "1.5T", "ghost")),
        ("phantom/T2/slices/spike", Origin("phantom/T2/slices", "unknown", "spike")),
        ("phantom/object/noise", Origin("phantom/object/noise", "unknown", "none")),
        ("somebody/data", Origin("somebody/data", "unknown", "unknown")),
        ("IXI", Origin("IXI", "unknown", "unknown")),
    ],
)
def test_a_source_is_taken_apart(source: str, origin: Origin) -> None:
    assert origin_of(source) == origin


def test_groups_are_counted_apart_and_those_that_tell_nothing_left_out(build) -> None:
    sure = [0.7, 0.1, 0.1, 0.1]
    answers = build(
        [sure, sure, sure],
        [0, 1, 0],
        sources=["phantom/T1/a/3T", "phantom/T2/b/3T/ghost", "phantom/T1/a/1.5T"],
    )
    found = by_group(answers, CLASSES, Resamples.of(answers.subjects))
    assert set(found) == {"class", "source", "field", "degradation"}
    assert list(found["class"]) == ["T1", "T2"]
    assert found["class"]["T2"]["right"] == 0
    assert found["source"]["phantom/T1/a"]["count"] == 2
    assert {name: group["right"] for name, group in found["field"].items()} == {
        "1.5T": 1,
        "3T": 1,
    }
    assert found["degradation"]["ghost"]["accuracy"] == 0
