from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mri_contrast.verdict import combine


def logs(**shares: list[float]) -> dict[str, np.ndarray]:
    return {name: np.log(np.float32(values)) for name, values in shares.items()}


def test_one_slice_keeps_its_calibrated_probabilities() -> None:
    verdict = combine(logs(T1=[0.7], T2=[0.2], other=[0.1]), rho=0.3, accept=0.5)
    assert verdict.contrast == "T1"
    assert list(verdict.probabilities) == ["T1", "T2", "other"]
    assert verdict.probabilities == pytest.approx(
        {"T1": 0.7, "T2": 0.2, "other": 0.1}, abs=1e-6
    )
    assert verdict.probability == verdict.probabilities["T1"]


def test_independent_slices_multiply_and_equal_slices_count_once() -> None:
    slices = logs(T1=[0.6, 0.6], T2=[0.4, 0.4])
    assert combine(slices, rho=0.0, accept=0).probability == pytest.approx(0.36 / 0.52)
    assert combine(slices, rho=1.0, accept=0).probability == pytest.approx(0.6)


def test_a_winner_below_the_limit_is_unsure_but_keeps_its_probability() -> None:
    verdict = combine(logs(T1=[0.6], T2=[0.4]), rho=0, accept=0.61)
    assert verdict.contrast == "unsure"
    assert verdict.probability == pytest.approx(0.6)


def test_a_class_that_is_ruled_out_gets_nothing() -> None:
    slices = {"T1": np.array([-np.inf, -0.1]), "T2": np.array([-0.7, -2.3])}
    assert combine(slices, rho=0, accept=0).probabilities == {"T1": 0.0, "T2": 1.0}


@given(
    table=arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 24)),
        elements=st.floats(-200, 0, width=32),
    ),
    rho=st.floats(0, 1),
)
def test_probabilities_sum_to_one_and_do_not_depend_on_the_order(
    table: np.ndarray, rho: float
) -> None:
    slices = {f"class {i}": row for i, row in enumerate(table)}
    verdict = combine(slices, rho=rho, accept=0)
    backwards = {n: slices[n][::-1] for n in reversed(slices)}
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert verdict.probability == max(verdict.probabilities.values())
    assert combine(backwards, rho=rho, accept=0).probabilities == pytest.approx(
        verdict.probabilities
    )


@pytest.mark.parametrize(
    ("slices", "rho", "accept", "reason"),
    [
        ({}, 0, 0, "shapes"),
        ({"T1": np.zeros(0)}, 0, 0, "n >= 1"),
        ({"T1": np.zeros(2), "T2": np.zeros(3)}, 0, 0, r"\(2,\), \(3,\)"),
        ({"T1": np.zeros((2, 2))}, 0, 0, "shapes"),
        ({"T1": np.array([np.nan]), "T2": np.zeros(1)}, 0, 0, "NaN"),
        ({"T1": np.array([np.inf])}, 0, 0, "infinity"),
        ({"T1": np.array([-np.inf])}, 0, 0, "rule out every class"),
        ({"T1": np.zeros(1)}, 1.1, 0, "rho is 1.1"),
        ({"T1": np.zeros(1)}, float("nan"), 0, "rho is nan"),
        ({"T1": np.zeros(1)}, 0, -0.1, "accept is -0.1"),
    ],
)
def test_what_allows_no_verdict_is_refused(
    slices: dict[str, np.ndarray], rho: float, accept: float, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        combine(slices, rho=rho, accept=accept)
