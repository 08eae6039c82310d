"""Whether a version is less accurate or worse calibrated than the stable one.

Both answer the same slices and scans of the test split and the same real scans. What
counts is the difference with its 95 % interval, subjects drawn anew, since the slices
of one head are right and wrong together.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.answering import Answerer
from pipeline.evaluate.reliability import calibration_error
from pipeline.experiments.compare import by_subject, compare
from pipeline.judged import REAL, SCANS, SLICES, Judged, judged
from pipeline.judging import RealScan, cut_scans
from pipeline.manifest import load_manifest
from pipeline.miscalibration import ErrorPair, compare_errors
from pipeline.runs import Run
from serving.gate.rules import Rules

KINDS: Final = {
    SLICES: "slices of the test split",
    SCANS: "scans of the test split",
    REAL: "real scans",
}

FEWEST: Final = 6
"""Subjects: were all of fewer worse, a sign test would call it chance (2/2^5 > 5 %)."""

_SURE: Final = 0.05


@dataclasses.dataclass(frozen=True, slots=True)
class Material:
    """What both models are asked about.

    Attributes:
        shards: Of the run; None where they cannot be used.
        scans: Real ones, of all classes.
        missing: Kind of `KINDS` that cannot be measured well enough, to why.
    """

    shards: Path | None
    scans: Sequence[RealScan]
    missing: Mapping[str, str]


def material_for(run: Run, rules: Rules, *, compared: bool) -> Material:
    """Finds the test split and the real scans.

    Args:
        run: Whose shards are used, if they are those it was trained on: of others the
            test split may hold subjects that it has learnt from.
        rules: Name the real scans.
        compared: Whether there is a stable version, so that `FEWEST` subjects are
            needed.
    """
    missing = {}
    shards: Path | None = run.shards
    try:
        manifest = load_manifest(run.shards)
        manifest.of_split("test")
        if manifest.sha256 != run.manifest_sha256:
            raise ValueError(f"{run.shards} holds others than the run was trained on")
        if compared and (few := _too_few(manifest.subjects["test"])):
            missing[SLICES] = few
    except (FileNotFoundError, ValueError) as error:
        shards, missing[SLICES] = None, str(error)
    if rules.scans is None:
        missing[REAL] = "MRI_REAL_DATA names no folder of labelled real scans"
        return Material(shards, [], missing)
    scans = list(cut_scans(rules.scans))
    if not scans:
        missing[REAL] = "no scan that MRI_REAL_DATA names gives slices"
    elif compared and (few := _too_few(len({scan.subject for scan in scans}))):
        missing[REAL] = few
    return Material(shards, scans, missing)


def _too_few(subjects: int) -> str:
    """Why so many subjects cannot show that a version is worse; empty if they can."""
    if subjects >= FEWEST:
        return ""
    return f"{subjects} subjects tell nothing, {FEWEST} are needed"


def measure(
    new: Answerer, stable: Answerer | None, material: Material
) -> tuple[dict[str, Any], list[str]]:
    """Measures a version, and compares it with the stable one where there is one.

    Returns:
        The evidence by kind, and why the version is refused.
    """
    mine = judged(new, material.shards, "test", material.scans)
    found: dict[str, Any] = {kind: _alone(said) for kind, said in mine.items()}
    reasons: list[str] = []
    if stable is not None:
        theirs = judged(stable, material.shards, "test", material.scans)
        for kind, said in mine.items():
            compared, worse = compare_judged(said, theirs[kind], kind)
            found[kind] |= compared
            reasons += worse
    return found, reasons


def _alone(said: Judged) -> dict[str, Any]:
    return {
        "count": len(said.wrong),
        "subjects": len(np.unique(said.subjects)),
        "wrong": float(said.wrong.mean()),
        "misled": float(said.misled.mean()),
        "accepted": float(said.accepted.mean()),
        "calibration_error": calibration_error(said.confidence, ~said.wrong),
    }


def compare_judged(
    new: Judged, stable: Judged, kind: str
) -> tuple[dict[str, Any], list[str]]:
    """Compares what two models said of the same slices or scans.

    Args:
        new: Of the version.
        stable: Of the stable one.
        kind: One of `KINDS`.

    Returns:
        The evidence, and what is worse beyond noise.
    """
    count, subjects = len(new.wrong), len(np.unique(new.subjects))
    if few := _too_few(subjects):
        return {"stable": f"not compared: {few}"}, []
    told = f"{count} {KINDS[kind]} of {subjects} subjects"
    evidence: dict[str, Any] = {"stable": {}}
    reasons = []
    for name, (mine, theirs), fault in (
        ("wrong", (new.wrong, stable.wrong), "less accurate than stable"),
        ("misled", (new.misled, stable.misled), "sure of a wrong class more often"),
        ("unsure", (~new.accepted, ~stable.accepted), "unsure more often"),
    ):
        if kind == SLICES and name != "wrong":
            continue  # verdicts are on scans
        sums, counts = by_subject([mine], new.subjects)
        others, _ = by_subject([theirs], new.subjects)
        pair = compare(sums, others, counts)
        low, high = pair.difference_interval
        evidence["stable"][name] = float(theirs.mean())
        evidence[f"{name}_difference"] = pair.difference
        evidence[f"{name}_interval"] = [low, high]
        evidence[f"{name}_p"] = pair.p
        if low > 0 and pair.p < _SURE:
            reasons.append(
                f"{fault} beyond noise: {name} are {mine.mean():.2%} of {told}, with "
                f"stable {theirs.mean():.2%}; difference {pair.difference:+.2%}, 95 % "
                f"interval {low:+.2%} to {high:+.2%}, p {pair.p:.2g}"
            )
    calibration, worse = _compare_calibration(new, stable, told)
    evidence["stable"]["calibration_error"] = calibration.other
    evidence["calibration_difference"] = calibration.difference
    evidence["calibration_interval"] = list(calibration.interval)
    return evidence, reasons + worse


def _compare_calibration(
    new: Judged, stable: Judged, told: str
) -> tuple[ErrorPair, list[str]]:
    errors = compare_errors(new, stable)
    low, high = errors.interval
    if low <= 0:
        return errors, []
    return errors, [
        f"worse calibrated than stable beyond noise: on {told} the expected "
        f"calibration error is {errors.one:.4f}, with stable {errors.other:.4f}; "
        f"difference {errors.difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
    ]
