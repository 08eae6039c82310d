"""The whole way of the gate: check, measure, compare, decide."""

from pathlib import Path
from typing import Any, Final

from pipeline.answering import of_export
from pipeline.judged import REAL, SLICES
from pipeline.runs import Run
from serving.gate import budget, comparison, interface
from serving.gate.answers import check
from serving.gate.refusal import GateRefusedError
from serving.gate.rules import DEFAULT, Rules

_NAMES: Final = {SLICES: "test_split", REAL: "real"}


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
    material = comparison.material_for(run, rules)
    measured, less = comparison.measure(new, served, material)
    evidence |= {
        name: measured.get(kind, "not measured") for kind, name in _NAMES.items()
    }
    return _decided(evidence, worse + less, _unmeasured(material, rules), rules)


def _unmeasured(material: comparison.Material, rules: Rules) -> list[str]:
    if rules.allow_unmeasured:
        return []
    return [
        f"{_NAMES[kind]}: not measured ({reason}); mend that, or pass "
        "--allow-unmeasured"
        for kind, reason in material.missing.items()
    ]


def _decided(
    evidence: dict[str, Any], worse: list[str], unmeasured: list[str], rules: Rules
) -> dict[str, Any]:
    if unmeasured or (worse and not rules.override):
        told = "; ".join(worse + unmeasured)
        # Paths are told to the user, and not kept.
        kept = [reason.partition(" (")[0] for reason in unmeasured]
        raise GateRefusedError(told, evidence | {"reasons": worse + kept})
    if worse:
        overridden = {"decision": "overridden", "why": rules.override}
        return evidence | overridden | {"reasons": worse}
    return evidence | {"decision": "accepted", "reasons": []}
