"""The figures that have a goal, in the form of the rows of `bench/results.json`."""

from collections.abc import Sequence
from typing import Any, Final

from pipeline.contrasts import ACCEPTED

REAL_ACCURACY: Final = 0.99
REAL_OTHER: Final = 0.95
ECE: Final = 0.03
RISK: Final = 0.002
COVERAGE: Final = 0.95
FEWEST: Final = 500
"""Accepted volumes; of fewer, one wrong or none says nothing of a risk of 0.002."""

Row = dict[str, Any]


def rows(result: dict[str, Any]) -> list[Row]:
    """Returns `real.accuracy`, `real.other`, `volume.ece` and `volume.risk`.

    Each has `id`, `value`, `reach`, `ok` and `detail`; what was not measured says why
    and is not `ok`.

    Args:
        result: The content of `evaluation.json`.
    """
    return [*_real(result.get("real")), _ece(result.get("hard")), _risk(result)]


def _row(name: str, value: float | None, reach: str, ok: bool, detail: str) -> Row:
    figure = None if value is None else float(f"{value:.4g}")
    return {"id": name, "value": figure, "reach": reach, "ok": ok, "detail": detail}


def _unmeasured(name: str, reach: str, reason: str) -> Row:
    return _row(name, None, reach, False, f"not measured: {reason}")


def _real(real: dict[str, Any] | None) -> list[Row]:
    names = ("real.accuracy", "real.other")
    reaches = (f"≥ {REAL_ACCURACY:g}", f"≥ {REAL_OTHER:g}")
    if real is None:
        reason = "no real scans; name them with --real or MRI_REAL_DATA"
        return [
            _unmeasured(name, reach, reason)
            for name, reach in zip(names, reaches, strict=True)
        ]
    found = []
    accuracy, strange = real["mean_verdict_accuracy"], real["out_of_class"]
    absent = [name for name in ACCEPTED if name not in real["by_class"]]
    for name, reach, value, goal, detail in zip(
        names,
        reaches,
        (accuracy, strange["share"]),
        (REAL_ACCURACY, REAL_OTHER),
        (
            _by_class(real, absent),
            _of(strange, "files of other kinds that gave slices, not accepted:"),
        ),
        strict=True,
    ):
        whole = name != "real.accuracy" or not absent
        if value is None:
            found.append(_unmeasured(name, reach, "no such scan among the real ones"))
        else:
            found.append(_row(name, value, reach, whole and value >= goal, detail))
    return found


def _by_class(real: dict[str, Any], absent: Sequence[str]) -> str:
    counts = ", ".join(
        _of(counts, name)
        + (f", {counts['refused']} refused" if counts["refused"] else "")
        for name, counts in real["by_class"].items()
        if name in ACCEPTED
    )
    lacking = f"; no {' and no '.join(absent)} among the real scans" if absent else ""
    return f"right verdicts, development scans: {counts}{lacking}"


def _of(counts: dict[str, Any], what: str) -> str:
    if not counts["count"]:
        return f"{what} 0/0"
    low, high = counts["exact"]
    return f"{what} {counts['right']}/{counts['count']} ({low:.3f}-{high:.3f})"


def _ece(hard: dict[str, Any] | None) -> Row:
    name, reach = "volume.ece", f"≤ {ECE:g}"
    if hard is None:
        return _unmeasured(name, reach, "no hard volumes; name shards with --shards")
    value, found = hard["calibration"]["ece"], hard["calibration"]
    where = "" if hard["reached"] else "; accuracy is NOT within 0.80-0.95"
    detail = (
        f"{hard['count']} volumes of {hard['subjects']} subjects degraded to level "
        f"{hard['level']:g}: accuracy {hard['accuracy']:.3f}{where}; upper limit "
        f"{found['ece_upper']:.3f}, perfect probabilities would show "
        f"{found['ece_of_perfect']:.3f} by chance"
    )
    return _row(name, value, reach, bool(hard["reached"] and value <= ECE), detail)


def _risk(result: dict[str, Any]) -> Row:
    name, reach = "volume.risk", f"≤ {RISK:g} at coverage ≥ {COVERAGE:g}"
    if "volumes" not in result:
        return _unmeasured(name, reach, "no split; name shards with --shards")
    found = result["volumes"]["risk"]
    if found["risk"] is None:
        return _unmeasured(name, reach, "no volume was accepted")
    enough = found["accepted"] >= FEWEST
    few = "" if enough else f"; too FEW: at least {FEWEST} accepted are needed"
    sealed = result["shards"]["sealed"]
    kind = "sealed" if sealed else "not sealed, as they must be"
    detail = (
        f"{found['errors']} of {found['accepted']} accepted volumes wrong, exact upper "
        f"limit {found['risk_exact'][1]:.4f} (Clopper and Pearson, 95 % interval)"
        f"{few}; coverage {found['coverage']:.3f} at a probability of "
        f"{found['accept']:.3f}; the shards are {kind}"
    )
    good = found["risk"] <= RISK and found["coverage"] >= COVERAGE
    ok = sealed and enough and good
    return _row(name, found["risk"], reach, ok, detail)
