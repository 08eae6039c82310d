"""The report's diagrams: SVG whose ink follows the page, light or dark."""

import io
import re
from collections.abc import Mapping
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

INK: Final = "#010203"
"""Stands for the page's own text colour until the SVG is written."""

BLUE: Final = "#2f7ec0"
ORANGE: Final = "#d9822b"
"""Told apart by colour-blind eyes, on white and on near black."""

SETTINGS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mri-contrast",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def reliability_diagram(calibration: Mapping[str, Any], label: str) -> str:
    """Accuracy against confidence, a dot a bin, with its gap to the diagonal.

    Args:
        calibration: With `bins` and `ece`.
        label: What is shown, for those who do not see it.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(3.6, 3.6), layout="constrained")
        axes = figure.add_subplot()
        bins = calibration["bins"]
        sure = [one["confidence"] for one in bins]
        right = [one["accuracy"] for one in bins]
        low = min([0.9, *sure, *right])
        low = max(0.0, low - 0.05)
        axes.plot([low, 1], [low, 1], color=INK, linewidth=0.8, alpha=0.5)
        axes.vlines(sure, right, sure, color=ORANGE, linewidth=3, alpha=0.6)
        axes.plot(sure, right, "o", color=BLUE, markersize=6)
        axes.text(
            0.04, 0.95, f"error {calibration['ece']:.3f}",
            transform=axes.transAxes, va="top",
        )  # fmt: skip
        axes.set(
            xlim=(low, 1.01), ylim=(low, 1.01),
            xlabel="probability given", ylabel="share right",
        )  # fmt: skip
        return svg(figure, label)


def coverage_diagram(curves: Mapping[str, Mapping[str, Any]], label: str) -> str:
    """Share of wrong ones among the accepted against the share that is accepted.

    Args:
        curves: Name to `points` and the model's own `risk` and `coverage`.
        label: What is shown, for those who do not see it.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for (name, found), colour in zip(curves.items(), (BLUE, ORANGE), strict=False):
            points = found["curve"]["points"]
            axes.plot(
                [point["coverage"] for point in points],
                [100 * point["risk"] for point in points],
                color=colour, linewidth=2, drawstyle="steps-post",
            )  # fmt: skip
            own = found["risk"]
            if own["risk"] is not None:
                axes.plot(own["coverage"], 100 * own["risk"], "o", color=colour)
            last = points[-1]
            axes.annotate(
                name, (1.01, 100 * last["risk"]), color=colour, va="center",
                annotation_clip=False,
            )  # fmt: skip
        axes.set(
            xlim=(0, 1), xlabel="share of scans accepted", ylabel="wrong among them, %"
        )
        axes.set_ylim(bottom=0)
        return svg(figure, label)


def bars(
    groups: Mapping[str, Mapping[str, Any]], label: str, *, ends: str = "interval"
) -> str:
    """Share right of every group with its interval, counts beside.

    Args:
        groups: Name to `right`, `count`, `accuracy` or `share`, and intervals.
        label: What is shown, for those who do not see it.
        ends: Which interval is drawn.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 0.7 + 0.3 * len(groups)), layout="constrained")
        axes = figure.add_subplot()
        for place, group in enumerate(groups.values()):
            share = group["right"] / group["count"]
            low, high = group[ends] or (share, share)
            axes.barh(place, share, 0.62, color=BLUE, alpha=0.45)
            axes.plot([low, high], [place, place], color=INK, linewidth=1.4)
            axes.text(1.02, place, f"{group['right']}/{group['count']}", va="center")
        axes.set_yticks(range(len(groups)), list(groups))
        axes.tick_params("y", length=0)
        axes.set(xlim=(0, 1.0), xlabel="share right", ylim=(len(groups) - 0.5, -0.6))
        axes.spines["left"].set_visible(False)
        return svg(figure, label)


def svg(figure: Figure, label: str) -> str:
    """Returns a figure as SVG to stand in a page, with a name for screen readers."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # A page of HTML needs no namespaces, and then names no address at all.
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace(INK, "currentColor")
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    spoken = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{spoken}"', 1)
