"""Whether a version is less accurate or worse calibrated than the stable one.

Both answer the same slices of the test split and the same real scans. What counts is
the difference with its 95 % interval, subjects drawn anew, since the slices of one head
are right and wrong together.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.answering import Answerer
from pipeline.evaluate.reliability import calibration_error
from pipeline.experiments.compare import by_subject, compare
from pipeline.judged import REAL, SLICES, Judged, judged
from pipeline.judging import RealScan, cut_scans
from pipeline.manifest import load_manifest
from pipeline.miscalibration import compare_errors
from pipeline.runs import Run
from serving.gate.rules import Rules

KINDS: Final = {SLICES: "slices of the test split", REAL: "real scans"}

FEWEST: Final = 6
"""Subjects: were all of fewer worse, a sign test would call it chance (2/2^5 > 5 %)."""

_SURE: Final = 0.05


@dataclasses.dataclass(frozen=True, slots=True)
class Material:
    """What both models are asked about.

    Attributes:
        shards: Of the run; None where they cannot be used.
        scans: Real ones, of all classes.
        missing: Kind of `KINDS` that cannot be measured, to why.
    """

    shards: Path | None
    scans: Sequence[RealScan]
    missing: Mapping[str, str]


def material_for(run: Run, rules: Rules) -> Material:
    """Finds the test split and the real scans.

    Args:
        run: Whose shards are used, if they are those it was trained on: of others the
            test split may hold subjects that it has learnt from.
        rules: Name the real scans.
    """
    missing = {}
    shards: Path | None = run.shards
    try:
        manifest = load_manifest(run.shards)
        manifest.of_split("test")
        if manifest.sha256 != run.manifest_sha256:
            raise ValueError(f"{run.shards} holds others than the run was trained on")
    except (FileNotFoundError, ValueError) as error:
        shards, missing[SLICES] = None, str(error)
    if rules.scans is None:
        missing[REAL] = "MRI_REAL_DATA names no folder of labelled real scans"
        return Material(shards, [], missing)
    return Material(shards, list(cut_scans(rules.scans)), missing)


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
    if subjects < FEWEST:
        return {"stable": f"not compared: {subjects} subjects tell nothing"}, []
    sums, counts = by_subject([new.wrong], new.subjects)
    others, _ = by_subject([stable.wrong], new.subjects)
    pair = compare(sums, others, counts)
    errors = compare_errors(new, stable)
    told = f"{count} {KINDS[kind]} of {subjects} subjects"
    reasons = []
    low, high = pair.difference_interval
    if low > 0 and pair.p < _SURE:
        reasons.append(
            f"less accurate than stable beyond noise: of {told} {new.wrong.mean():.2%} "
            f"are wrong, with stable {stable.wrong.mean():.2%}; difference "
            f"{pair.difference:+.2%}, 95 % interval {low:+.2%} to {high:+.2%}, p "
            f"{pair.p:.2g}"
        )
    if errors.interval[0] > 0:
        low_error, high_error = errors.interval
        reasons.append(
            f"worse calibrated than stable beyond noise: on {told} the expected "
            f"calibration error is {errors.one:.4f}, with stable {errors.other:.4f}; "
            f"difference {errors.difference:+.4f}, 95 % interval {low_error:+.4f} to "
            f"{high_error:+.4f}"
        )
    evidence = {
        "stable": {
            "wrong": float(stable.wrong.mean()),
            "calibration_error": errors.other,
        },
        "wrong_difference": pair.difference,
        "wrong_interval": [low, high],
        "p": pair.p,
        "calibration_difference": errors.difference,
        "calibration_interval": list(errors.interval),
    }
    return evidence, reasons
