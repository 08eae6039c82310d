"""When a figure's goal counts as reached."""

from typing import Any

import pytest

from pipeline.evaluate.intervals import exact
from pipeline.evaluate.rows import FEWEST, rows


def risk_row(
    errors: int, accepted: int, *, sealed: bool = True, coverage: float = 0.97
) -> dict[str, Any]:
    risk = {
        "accept": 0.9,
        "accepted": accepted,
        "errors": errors,
        "risk": errors / accepted if accepted else None,
        "risk_exact": exact(errors, accepted),
        "coverage": coverage,
    }
    result = {"volumes": {"risk": risk}, "shards": {"sealed": sealed}}
    return {row["id"]: row for row in rows(result)}["volume.risk"]


@pytest.mark.parametrize(
    ("errors", "accepted", "coverage", "ok"),
    [
        (0, FEWEST, 0.97, True),
        (0, FEWEST - 1, 0.97, False),
        (4, 2000, 0.97, True),
        (5, 2000, 0.97, False),
        (0, 2000, 0.94, False),
        (0, 0, 0.0, False),
    ],
)
def test_a_risk_is_reached_by_enough_volumes_alone(
    errors: int, accepted: int, coverage: float, ok: bool
) -> None:
    assert risk_row(errors, accepted, coverage=coverage)["ok"] is ok


def test_the_risk_tells_how_large_it_may_be_and_on_what_it_was_measured() -> None:
    detail = risk_row(0, 200)["detail"]
    assert detail.startswith(
        "0 of 200 accepted volumes wrong, exact upper limit 0.0183"
    )
    assert "too FEW: at least 500" in detail
    assert detail.endswith("the shards are sealed")
    open_ones = risk_row(0, 600, sealed=False)
    assert open_ones["detail"].endswith("the shards are not sealed, as they must be")
    assert "FEW" not in open_ones["detail"]
    assert not open_ones["ok"]
