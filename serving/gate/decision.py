"""The whole way of the gate: check, measure, compare, decide."""

from pathlib import Path
from typing import Any, Final

from pipeline.answering import of_export
from pipeline.judged import REAL, SCANS, SLICES
from pipeline.runs import Run
from serving.gate import budget, comparison, interface
from serving.gate.answers import check
from serving.gate.refusal import GateRefusedError
from serving.gate.rules import DEFAULT, Rules

_NAMES: Final = {SLICES: "test_split", SCANS: "test_scans", REAL: "real"}


def decide(
    model: Path, run: Run, stable: Path | None, rules: Rules = DEFAULT
) -> dict[str, Any]:
    """Decides whether an export may be published.

    Args:
        model: The export's folder.
        run: What it was exported from.
        stable: Folder of the version that is served now; None where there is none.
        rules: What is allowed.

    Returns:
        The evidence, for the model card and the history: no name of a scan, of a
        folder or of a data set is in it.

    Raises:
        GateRefusedError: It may not; the message has the numbers.
    """
    material = comparison.material_for(run, rules, compared=stable is not None)
    if material.missing and not rules.allow_unmeasured:
        raise _unmeasured(material)
    evidence: dict[str, Any] = {
        "stable": None if stable is None else int(stable.name),
        **check(model, run),
        "interface": interface.interface_of(model),
    }
    worse: list[str] = []
    served = None
    if stable is not None:
        worse += interface.incompatible(
            evidence["interface"], interface.interface_of(stable)
        )
        served = of_export(stable)
    weight, too_large = budget.check_size(model, rules)
    evidence["budget"] = weight
    worse += too_large
    new = of_export(model)
    if served is not None and served.classes == new.classes:
        times, too_slow = budget.check_time(new, served, rules)
        evidence["budget"] |= times
        worse += too_slow
    elif served is not None:  # as the interface says; nothing is to be compared
        served = None
    measured, less = comparison.measure(new, served, material)
    evidence |= {
        name: measured.get(kind, "not measured") for kind, name in _NAMES.items()
    }
    reasons = worse + less
    if reasons and not rules.override:
        raise GateRefusedError("; ".join(reasons), evidence | {"reasons": reasons})
    if reasons:
        evidence |= {"why": rules.override}
    decision = "overridden" if reasons else "accepted"
    return evidence | {"decision": decision, "reasons": reasons}


def _unmeasured(material: comparison.Material) -> GateRefusedError:
    told = "; ".join(
        f"{_NAMES[kind]}: not measured ({reason})"
        for kind, reason in material.missing.items()
    )
    # The reasons may name folders: they are told, and not kept.
    kept = [f"{_NAMES[kind]}: not measured" for kind in material.missing]
    return GateRefusedError(
        f"{told}; mend that, or pass --allow-unmeasured", {"reasons": kept}
    )
