"""The page about one scan, as a picture."""

import dataclasses
import io
import textwrap
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mri_contrast.verdict import UNSURE, Verdict
from pipeline.files import replacing
from pipeline.report.pixels import MAP, overlay

_INK: Final = "#1c2430"
_SOFT: Final = "#5b6675"
_BLUE: Final = "#2f7ec0"
_GREY: Final = "#b9c2cd"
_DOTS_PER_INCH: Final = 150
_WIDTH: Final = 8.3
_HEIGHT: Final = 9.4
_LEFT: Final = 0.04
_GAP: Final = 0.012
_TOP: Final = 0.70
"""Inches, and the rest as shares of the page."""

_MEANING: Final = {
    "other": "none of T1, T2 and FLAIR",
    UNSURE: "too close to call: a person should look",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """What is shown.

    Attributes:
        scan: The file's name.
        model: Name and version, or run.
        kind: `run` or `export`.
        accept: Below this probability of the winner the verdict is `unsure`.
        verdict: On the whole scan.
        count: Number of slices that it comes from.
        axes: Of the voxels, along which each shown slice was cut.
        slices: (m, 150, 150) uint8 those shown, 1 <= m <= 3.
        said: (m, classes) probabilities of each shown slice by itself.
        heat: (m, 150, 150) float32 in [0, 1]: what spoke for its likeliest class.
        notes: What the reader had to choose.
    """

    scan: str
    model: str
    kind: str
    accept: float
    verdict: Verdict
    count: int
    axes: list[int]
    slices: NDArray[np.uint8]
    said: NDArray[np.float64]
    heat: NDArray[np.float32]
    notes: tuple[str, ...]


def write_page(path: Path, page: Page) -> None:
    """Writes the page as a PNG, whole or not at all."""
    settings: dict[Any, Any] = {
        "font.size": 11, "text.color": _INK, "axes.labelcolor": _INK,
        "xtick.color": _INK, "ytick.color": _INK,
    }  # fmt: skip
    with matplotlib.rc_context(settings):
        content = io.BytesIO()
        draw(page).savefig(content, format="png", dpi=_DOTS_PER_INCH)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def draw(page: Page) -> Figure:
    """Draws verdict and probabilities above, slices and their heat below."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor="white")
    _verdict(figure.add_axes((_LEFT, 0.76, 0.44, 0.21)), page)
    _probabilities(figure.add_axes((0.58, 0.80, 0.31, 0.17)), page)
    _slices(figure, page)
    _scale(figure.add_axes((_LEFT, 0.085, 0.2, 0.013)))
    figure.text(
        _LEFT, 0.03,
        "Not a medical device: it tells contrasts apart and says nothing about "
        f"disease.\nAnswered by {_answered_by(page)}.",
        fontsize=9.5, color=_SOFT, linespacing=1.4,
    )  # fmt: skip
    return figure


def _answered_by(page: Page) -> str:
    return f"the network of run {page.model}" if page.kind == "run" else page.model


def _verdict(axes: Axes, page: Page) -> None:
    verdict = page.verdict
    likeliest = max(verdict.probabilities, key=verdict.probabilities.__getitem__)
    meaning = _MEANING.get(verdict.contrast, "")
    share = f"probability {verdict.probability:.3f}"
    if verdict.contrast == UNSURE:
        share = f"likeliest: {likeliest}, {share}, below {page.accept:.2f}"
    count = f"{page.count} slice{'' if page.count == 1 else 's'}"
    said = [f"{share}, from {count}", meaning, *page.notes]
    wrapped = [line for words in said for line in textwrap.wrap(words, 46)]
    axes.axis("off")
    axes.text(0, 1, "\n".join(textwrap.wrap(page.scan, 44)), va="top", fontsize=11)
    axes.text(0, 0.62, verdict.contrast, va="center", fontsize=34, weight="bold")
    axes.text(0, 0.4, "\n".join(wrapped), va="top", color=_SOFT, linespacing=1.4)


def _probabilities(axes: Axes, page: Page) -> None:
    shares = page.verdict.probabilities
    for place, (name, share) in enumerate(shares.items()):
        won = share == max(shares.values())
        axes.barh(place, share, 0.6, color=_BLUE if won else _GREY)
        axes.text(1.03, place, f"{share:.3f}", va="center")
        axes.text(-0.03, place, name, va="center", ha="right")
    axes.axvline(page.accept, color=_INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, 1), ylim=(len(shares) - 0.4, -0.6), yticks=[], xticks=[0, 0.5, 1])
    axes.set_xlabel(f"probability; dashed: accepted from {page.accept:.2f}")
    axes.spines[["top", "right", "left"]].set_visible(False)


def _slices(figure: Figure, page: Page) -> None:
    """The slices, and below each the same with its heat; beside it for only one."""
    names = list(page.verdict.probabilities)
    only = len(page.slices) == 1
    columns = 2 if only else 3
    width = (1 - 2 * _LEFT - (columns - 1) * _GAP) / columns
    height = width * _WIDTH / _HEIGHT

    def panel(column: int, row: int) -> Axes:
        left = _LEFT + column * (width + _GAP)
        bottom = _TOP - height - row * (height + 3 * _GAP)
        axes = figure.add_axes((left, bottom, width, height))
        axes.axis("off")
        return axes

    for column, picture in enumerate(page.slices):
        plain = panel(column, 0)
        heated = panel(1, 0) if only else panel(column, 1)
        likeliest = int(page.said[column].argmax())
        plain.imshow(picture, cmap="gray", vmin=0, vmax=255)
        plain.set_title(f"cut along axis {page.axes[column]}", fontsize=11)
        heated.imshow(overlay(picture, page.heat[column]))
        heated.set_title(
            f"alone: {names[likeliest]} {page.said[column, likeliest]:.2f}", fontsize=11
        )


def _scale(axes: Axes) -> None:
    """Tells what the colours of the heat mean."""
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=MAP, aspect="auto")
    axes.text(
        1.04, 0.5, "heat: what spoke for the slice's likeliest class, from nothing to "
        "most", transform=axes.transAxes, va="center", fontsize=9.5, color=_SOFT,
    )  # fmt: skip
    axes.axis("off")
