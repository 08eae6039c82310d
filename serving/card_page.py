"""The model card as a page: one file, made from the card alone, that needs no other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.files import replacing
from pipeline.report import figures
from pipeline.report.templates import environment

PAGE: Final = Path("assets.extra") / "model_card.html"
TEMPLATE: Final = "card.html.j2"

_LEVELS: Final = {"slices": "Single slices", "volumes": "Scans", "hard": "Hard scans"}
_GROUPS: Final = {
    "class": "class",
    "plane": "plane",
    "field": "field strength",
    "source": "source",
}

LIMITS: Final = (
    "It knows T1, T2 and FLAIR of the head. Proton density, diffusion, angiography, "
    "CT and other organs are other, and only as far as the training data hold such.",
    "Simulated heads are healthy adults with a few lesions and artefacts: children, "
    "large resections, implants and rare sequences were not simulated.",
    "It looks at single slices and joins them: what only a whole volume shows, such as "
    "motion between slices, it does not see.",
    "A contrast is told from pixels alone; headers are never read. Probabilities hold "
    "for scans like those it was calibrated on.",
    "Where the winner is less probable than the threshold the verdict is unsure: a "
    "person should look.",
)


def write_page(model: Path, card: Mapping[str, Any]) -> None:
    """Writes `assets.extra/model_card.html` into a SavedModel.

    Args:
        model: The SavedModel's folder.
        card: The content of `model_card.json`.
    """
    with replacing(model / PAGE) as temporary:
        temporary.write_text(render(card), encoding="utf-8")


def render(card: Mapping[str, Any]) -> str:
    """Returns the page; the same from the same."""
    templates = environment(Path(__file__).parent)
    metrics = card["metrics"] or {}
    training = card.get("training") or {}
    machines = [one.get("processor") for one in training.get("machines") or ()]
    return templates.get_template(TEMPLATE).render(
        card=card,
        metrics=metrics,
        volumes=metrics.get("volumes", {}),
        training=training,
        machines=machines or None,
        gate=card.get("gate") or {},
        limits=LIMITS,
        groups_of=_GROUPS,
        levels={
            name: words for name, words in _LEVELS.items() if _complete(metrics, name)
        },
        diagrams=_diagrams(metrics),
    )


def _complete(metrics: Mapping[str, Any], level: str) -> bool:
    """Whether an evaluation measured slices or scans as this version's does."""
    return {"count", "accuracy", "calibration"} <= set(metrics.get(level, ()))


def _diagrams(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Draws what the card has figures for, by name."""
    drawn = {}
    for name, words in _LEVELS.items():
        if _complete(metrics, name):
            calibration = metrics[name]["calibration"]
            drawn[name] = figures.reliability_diagram(
                calibration,
                f"Reliability of {words.lower()}: share right against probability, "
                f"calibration error {calibration['ece']:.3f}",
            )
    curves = {
        words: metrics[name]
        for name, words in _LEVELS.items()
        if name != "slices" and {"curve", "risk"} <= set(metrics.get(name, ()))
    }
    if curves:
        drawn["coverage"] = figures.coverage_diagram(
            curves, "Share of wrong verdicts against share of scans accepted"
        )
    if by_class := metrics.get("real", {}).get("by_class"):
        drawn["real"] = figures.bars(
            by_class,
            "Share of real scans right, by class, with exact 95 % intervals",
            ends="exact",
        )
    return drawn
