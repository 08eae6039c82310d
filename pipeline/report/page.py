"""The report as one file that needs nothing else: no network, no other file."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from mri_contrast.verdict import UNSURE
from pipeline.files import replacing
from pipeline.report import figures
from pipeline.report.gallery import Exhibit
from pipeline.report.pixels import png_uri, side_by_side
from pipeline.report.templates import environment

TEMPLATE: Final = "report.html.j2"

_KINDS: Final = {
    "class": "class",
    "plane": "plane",
    "field": "field strength",
    "degradation": "degradation",
    "source": "source",
}
_MOST_BARS: Final = 40


def write_report(
    path: Path,
    result: Mapping[str, Any],
    mistakes: Sequence[Exhibit],
    real_mistakes: Sequence[Exhibit],
    sheet: Image.Image | None,
) -> None:
    """Writes the report, whole or not at all.

    Args:
        path: The file.
        result: The content of `evaluation.json`.
        mistakes: The worst ones on the split.
        real_mistakes: Real scans that did not get their class.
        sheet: Training slices after augmentation, where they are at hand.
    """
    page = render(result, mistakes, real_mistakes, sheet, datetime.date.today())
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(
    result: Mapping[str, Any],
    mistakes: Sequence[Exhibit],
    real_mistakes: Sequence[Exhibit],
    sheet: Image.Image | None,
    day: datetime.date,
) -> str:
    """Returns the page; the same from the same."""
    templates = environment()
    templates.filters["between"] = _between
    return templates.get_template(TEMPLATE).render(
        result=result,
        classes=result["model"]["classes"],
        unsure=UNSURE,
        day=day.isoformat(),
        kinds=_KINDS,
        diagrams=diagrams(result),
        mistakes=[_shown(one) for one in mistakes],
        real_mistakes=[_shown(one) for one in real_mistakes],
        sheet=None if sheet is None else png_uri(sheet),
    )


def diagrams(result: Mapping[str, Any]) -> dict[str, str]:
    """Draws what the result has figures for, by name."""
    drawn = {}
    if "volumes" in result:
        levels = {"slices": "slices", "volumes": "scans", "hard": "hard scans"}
        for name, words in levels.items():
            if name in result:
                drawn[f"reliability_{name}"] = figures.reliability_diagram(
                    result[name]["calibration"],
                    f"Reliability of {words}: share right against probability, "
                    f"calibration error {result[name]['calibration']['ece']:.3f}",
                )
        curves = {f"{result['split']} split": result["volumes"]}
        if "hard" in result:
            curves["hard scans"] = result["hard"]
        drawn["coverage"] = figures.coverage_diagram(
            curves, "Share of wrong verdicts against share of scans accepted"
        )
        sources = _fewest_right(result["volumes"]["by"]["source"])
        drawn["sources"] = figures.bars(
            sources, "Share of scans right, by source, with 95 % intervals"
        )
    if "real" in result:
        drawn["real_sources"] = figures.bars(
            result["real"]["by_source"],
            "Share of real scans right, by source, with exact 95 % intervals",
            ends="exact",
        )
    return drawn


def _fewest_right(groups: Mapping[str, Any]) -> dict[str, Any]:
    """The groups that fit a picture, those with most errors; in their own order."""
    worst = sorted(groups, key=lambda name: groups[name]["accuracy"])[:_MOST_BARS]
    return {name: groups[name] for name in groups if name in worst}


def _shown(one: Exhibit) -> dict[str, str]:
    picture = png_uri(side_by_side(one.picture, one.heat))
    return {"title": one.title, "told": one.told, "picture": picture}


def _between(interval: Sequence[float] | None, digits: int = 3) -> str:
    if interval is None:
        return "–"
    low, high = interval
    return f"{low:.{digits}f}–{high:.{digits}f}"
