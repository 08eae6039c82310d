"""What of an evaluation may be published: figures of many scans, never a name.

`evaluation.json` names real files, folders and data sets. A card travels with the
model, so it takes what is listed here, and nothing that is added there later.
"""

from collections.abc import Mapping
from typing import Any, Final

_SHARDS: Final = ("manifest_sha256", "sealed")

_SPLIT: Final = (
    *("count", "subjects", "loss", "loss_interval", "accuracy", "accuracy_interval"),
    *("brier", "brier_interval", "confusion", "calibration", "auroc", "auroc_interval"),
    *("coverage", "accepted_accuracy", "false_accept", "risk", "curve"),
    *("reached", "level", "trail", "draws"),
)

_GROUPS: Final = ("class", "plane", "field")
"""Sources may be names of a user's own: of those only simulated ones are told."""

_SIMULATED: Final = "phantom/"

_REAL: Final = (
    *("count", "refused", "accuracy", "mean_accuracy", "mean_verdict_accuracy"),
    *("coverage", "accepted_accuracy", "out_of_class", "confusion", "by_class"),
)

_TURNED: Final = ("ways", "kept", "cases", "share", "interval", "scans")


def published(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the figures of `evaluation.json` that go into a card.

    Args:
        metrics: Its content; empty where nothing was evaluated.
    """
    told = _some(metrics, ("split", "heads", "rows"))
    if "shards" in metrics:
        told["shards"] = _some(metrics["shards"], _SHARDS)
    for level in ("slices", "volumes", "hard"):
        if level in metrics:
            told[level] = _some(metrics[level], _SPLIT)
            if "by" in metrics[level]:
                told[level]["by"] = _groups(metrics[level]["by"])
    if "real" in metrics:
        told["real"] = _some(metrics["real"], _REAL)
        if turned := metrics["real"].get("orientations"):
            told["real"]["orientations"] = _some(turned, _TURNED)
    return told


def _groups(by: Mapping[str, Any]) -> dict[str, Any]:
    told = _some(by, _GROUPS)
    sources = by.get("source", {})
    simulated = {
        name: group for name, group in sources.items() if name.startswith(_SIMULATED)
    }
    return told | ({"source": simulated} if simulated else {})


def _some(content: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: content[name] for name in names if name in content}
