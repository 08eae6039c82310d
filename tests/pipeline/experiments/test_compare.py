import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.experiments.compare import (
    by_subject,
    clustered_mcnemar,
    compare,
    seed_interval,
)


def errors(share: float, seed: int, subjects: int = 200, seeds: int = 3) -> np.ndarray:
    """Wrong ones of 10 slices a subject, where subjects differ in difficulty."""
    random = np.random.default_rng(seed)
    hard = random.beta(0.5, 0.5 * (1 - share) / share, subjects)
    return random.binomial(10, hard, (seeds, subjects)).astype(float)


COUNTS = np.full(200, 10.0)


def test_wrong_slices_are_counted_by_subject() -> None:
    wrong = [np.array([True, False, True, True]), np.array([False] * 4)]
    found, counts = by_subject(wrong, np.array(["b", "a", "b", "a"]))
    np.testing.assert_array_equal(found, [[1, 2], [0, 0]])
    np.testing.assert_array_equal(counts, [2, 2])


def test_an_interval_holds_the_error_and_is_wider_where_subjects_differ() -> None:
    clustered = errors(0.2, 1)
    mean = clustered.mean() / 10
    low, high = seed_interval(clustered, COUNTS)
    assert low < mean < high
    # The same number of wrong slices, spread evenly: each subject is as any other.
    even = np.full_like(clustered, clustered.mean())
    narrow = seed_interval(even, COUNTS)
    assert narrow[1] - narrow[0] < 0.1 * (high - low)


def test_seeds_that_differ_widen_the_interval() -> None:
    same = np.repeat(errors(0.2, 1, seeds=1), 3, axis=0)
    apart = same * np.array([[0.5], [1.0], [1.5]])
    low, high = seed_interval(same, COUNTS)
    lower, higher = seed_interval(apart, COUNTS)
    assert higher - lower > 1.5 * (high - low)


def test_half_the_errors_are_a_ratio_of_a_half_and_no_chance() -> None:
    other = 2 * np.repeat(errors(0.2, 1, seeds=1), 3, axis=0)
    pair = compare(other / 2, other, COUNTS)
    assert pair.ratio == pytest.approx(0.5)
    assert pair.ratio_interval == pytest.approx((0.5, 0.5))
    assert pair.difference_interval[1] < 0
    assert pair.p < 1e-6


def test_seeds_that_differ_on_either_side_widen_the_ratio() -> None:
    same = np.repeat(errors(0.2, 1, seeds=1), 3, axis=0)
    apart = same * np.array([[0.25], [1.0], [1.75]])
    for one, other in ((apart, same), (same, apart)):
        low, high = compare(one, other, COUNTS).ratio_interval
        assert low < 0.75
        assert high > 1.3
    # Equal factors at equal places do not cancel: a seed pairs no two trainings.
    pair = compare(apart, apart, COUNTS)
    assert pair.ratio_interval[1] > 1.5
    assert pair.difference_interval[0] < 0 < pair.difference_interval[1]


def test_the_limit_holds_for_other_trainings_and_subjects() -> None:
    """Eight of ten intervals at least hold the ratio over all possible trainings."""
    inside = 0
    for number in range(40):
        random = np.random.default_rng(number)
        factors = random.uniform(0.4, 1.6, (2, 3, 1))  # of ours and theirs
        shares = np.array([0.02, 0.1])[:, None, None] * factors
        one, other = random.binomial(10, np.broadcast_to(shares, (2, 3, 200)))
        low, high = compare(one * 1.0, other * 1.0, COUNTS).ratio_interval
        inside += low <= 0.2 <= high
    assert inside >= 32


def test_networks_that_err_by_the_same_law_do_not_differ() -> None:
    ps = [
        clustered_mcnemar((errors(0.2, seed) - errors(0.2, seed + 100)).sum(axis=0))
        for seed in range(50)
    ]
    assert np.mean(np.array(ps) < 0.05) <= 0.2


def test_slices_of_one_subject_are_no_independent_proof() -> None:
    # 100 slices of one subject speak for one network, one of another for the other.
    assert clustered_mcnemar(np.array([100.0, -1.0])) > 0.3
    assert clustered_mcnemar(np.ones(100)) < 1e-20
    assert clustered_mcnemar(np.zeros(5)) == 1


def test_a_reference_without_errors_leaves_no_ratio() -> None:
    pair = compare(errors(0.2, 1), np.zeros((3, 200)), COUNTS)
    assert pair.ratio is None
    assert pair.ratio_interval[1] == np.inf


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_ratio_is_within_its_interval(seed: int) -> None:
    pair = compare(errors(0.1, seed), errors(0.3, seed + 1), COUNTS)
    assert pair.ratio is not None
    assert pair.ratio_interval[0] <= pair.ratio <= pair.ratio_interval[1]
