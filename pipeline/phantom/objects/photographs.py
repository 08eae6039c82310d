"""Pictures that are no scan: photographs, documents, screenshots.

A photograph's statistics are those of dead leaves: shapes of all sizes that cover each
other, each with its own tone, shade and texture.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.phantom import fields
from pipeline.phantom.fields import Volume

_SIDE: Final = 144
_FRAMES: Final = 6
_Picture = NDArray[np.float32]
_LETTERS: Final = "abcdefghijklmnoprstuvwxyz ABCDEFGHIKLMNOPRSTV 0123456789 .,:-  "


def photograph(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Things that cover each other, in some light."""
    return _frames(rng, _dead_leaves)


def document(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Lines of text, a table or a curve on paper, perhaps seen from aside."""
    return _frames(rng, _page)


def screenshot(rng: np.random.Generator) -> tuple[Volume, list[float]]:
    """Windows with bars and text around pictures, light or dark."""
    return _frames(rng, _windows)


def _frames(
    rng: np.random.Generator, draw: Callable[[np.random.Generator], _Picture]
) -> tuple[Volume, list[float]]:
    """Different pictures in a stack whose other planes are too thick to be cut."""
    volume = np.stack([draw(rng) for _ in range(_FRAMES)], -1)
    if rng.random() < 0.4:  # no square
        volume = volume[: int(rng.integers(70, 130))]
    return volume - min(float(volume.min()), 0.0), [1.0, 1.0, 4.0]


def _dead_leaves(rng: np.random.Generator) -> _Picture:
    canvas = Image.new("F", (_SIDE, _SIDE), float(rng.uniform(0, 1)))
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(20, 220))):
        size = min(4 / rng.uniform(0.02, 1), 110)
        tone = float(rng.beta(0.8, 0.8))
        _shape(pen, rng, rng.uniform(0, _SIDE, 2), size, tone)
    picture = np.asarray(canvas, np.float32)
    light = fields.smooth(rng, picture.shape, float(rng.uniform(40, 90)))
    detail = np.zeros_like(picture)
    for octave in range(5):
        detail += fields.smooth(rng, picture.shape, 1.2 * 2**octave) * np.float32(
            1.6**octave
        )
    picture = picture + np.float32(rng.choice([0, rng.uniform(0, 0.05)])) * detail
    return picture * np.exp(np.float32(rng.uniform(0, 0.5)) * light)


def _shape(
    pen: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    centre: NDArray[np.float64],
    size: float,
    tone: float,
) -> None:
    """A disk, a polygon or a stroke."""
    kind = rng.integers(4)
    if kind == 0:
        reach = size * rng.uniform(0.3, 1, 2)
        pen.ellipse((*(centre - reach), *(centre + reach)), fill=tone)
        return
    corners = int(rng.integers(3, 8))
    angle = rng.uniform(0, 2 * np.pi) + np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = size * (rng.uniform(0.5, 1, corners) if kind == 1 else 1.0)
    points = centre + np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    outline = [(float(x), float(y)) for x, y in points]
    if kind == 2:
        pen.line(outline, fill=tone, width=int(rng.integers(1, 5)))
    else:
        pen.polygon(outline, fill=tone)


def _page(rng: np.random.Generator) -> _Picture:
    page = Image.new("F", (_SIDE, _SIDE), 1.0)
    pen = ImageDraw.Draw(page)
    ink = float(rng.uniform(0, 0.4))
    _text(pen, rng, (8, 8, _SIDE - 8, _SIDE - 8), ink)
    if rng.random() < 0.4:  # a table or a figure
        top = int(rng.integers(20, 80))
        pen.rectangle((14, top, _SIDE - 14, top + 50), fill=1.0, outline=ink)
        heights = top + 25 + rng.normal(0, 8, 24).cumsum().clip(-24, 24)
        places = np.linspace(16, _SIDE - 16, 24)
        pen.line(list(zip(places.tolist(), heights.tolist(), strict=True)), fill=ink)
    if rng.random() < 0.5:
        corners = np.array([[0, 0], [0, _SIDE], [_SIDE, _SIDE], [_SIDE, 0]])
        seen = (corners + rng.uniform(-30, 30, (4, 2))).ravel().tolist()
        page = page.transform(
            (_SIDE, _SIDE), Image.Transform.QUAD, seen, Image.Resampling.BILINEAR
        )
    picture = np.asarray(page, np.float32)
    light = fields.smooth(rng, picture.shape, 60)
    picture = picture * np.exp(np.float32(rng.uniform(0, 0.2)) * light)
    return 1.5 - picture if rng.random() < 0.2 else picture


def _text(
    pen: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    box: tuple[int, int, int, int],
    ink: float,
) -> None:
    """Lines of random letters in a box (left, top, right, bottom)."""
    step = int(rng.integers(10, 16))
    for top in range(box[1], box[3] - 10, step):
        count = int((box[2] - box[0]) / 6 * rng.choice([1, 1, rng.uniform(0.1, 1)]))
        letters = rng.choice(list(_LETTERS), max(count, 1))
        pen.text((box[0], top), "".join(letters), fill=ink)


def _windows(rng: np.random.Generator) -> _Picture:
    paper, ink = (0.95, 0.1) if rng.random() < 0.5 else (0.12, 0.85)
    screen = Image.new("F", (_SIDE, _SIDE), paper)
    pen = ImageDraw.Draw(screen)
    for _ in range(int(rng.integers(1, 5))):
        left, top = rng.integers(0, 80, 2).tolist()
        right, bottom = (
            left + int(rng.integers(40, 90)),
            top + int(rng.integers(30, 80)),
        )
        pen.rectangle((left, top, right, bottom), fill=paper, outline=ink)
        pen.rectangle((left, top, right, top + 10), fill=float(rng.uniform(0.2, 0.8)))
        if rng.random() < 0.5:
            inner = Image.fromarray(_dead_leaves(rng)).resize(
                (right - left - 4, bottom - top - 14)
            )
            screen.paste(inner, (left + 2, top + 12))
        else:
            _text(pen, rng, (left + 3, top + 12, right, bottom), ink)
    return np.asarray(screen, np.float32)
