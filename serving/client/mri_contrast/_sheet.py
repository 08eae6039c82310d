"""A picture of many scans with their verdicts, to look over at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mri_contrast.answers import Result
from mri_contrast.slices import SIZE

# 4 x 100 scans are a picture of 1 848 x 19 000 pixels, 105 MB while it is drawn.
MOST = 400
_COLUMNS = 4
_PLANES = 3
_TEXT = 40
_GAP = 6
_LETTERS = 48
_COLOURS = {
    "T1": (120, 190, 255),
    "T2": (255, 190, 110),
    "FLAIR": (150, 230, 150),
    "other": (220, 130, 220),
    "unsure": (255, 240, 120),
}
_FAILED = (255, 110, 110)
_Tile = tuple[Image.Image, str, str, tuple[int, int, int]]


class Sheet:
    """Collects results; the first 400 are drawn."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tiles: list[_Tile] = []
        self.left_out = 0

    def add(self, result: Result) -> None:
        """Takes one result in; of an earlier run's, only the text is known."""
        if len(self._tiles) == MOST:
            self.left_out += 1
            return
        name = Path(result.file).name or result.file
        if result.part is not None:
            name += f" [{result.part}]"
        answer = result.answer
        verdict, colour = str(result.error), _FAILED
        if answer is not None:
            verdict = f"{answer.contrast} {answer.probability:.1%}"
            verdict += " (conflict)" if answer.conflict else ""
            colour = _COLOURS.get(answer.contrast, (255, 255, 255))
        self._tiles.append((_picture(result), verdict, name, colour))

    def save(self) -> None:
        """Writes the picture; nothing where nothing was added.

        Raises:
            OSError, ValueError: it cannot be written there, or not in that format.
        """
        if not self._tiles:
            return
        rows = -(-len(self._tiles) // _COLUMNS)
        wide, high = _PLANES * SIZE + 2 * _GAP, SIZE + _TEXT + _GAP
        columns = min(_COLUMNS, len(self._tiles))
        sheet = Image.new("RGB", (columns * wide, rows * high), (24, 24, 24))
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
        for at, (picture, verdict, name, colour) in enumerate(self._tiles):
            left, top = at % _COLUMNS * wide + _GAP, at // _COLUMNS * high
            draw.text((left, top + 2), _short(verdict), colour, font)
            draw.text((left, top + 20), _short(name), (200, 200, 200), font)
            sheet.paste(picture, (left, top + _TEXT))
        sheet.save(self._path)


def _picture(result: Result) -> Image.Image:
    picture = Image.new("L", (_PLANES * SIZE, SIZE), 40)
    if result.preview is not None:
        wide: np.ndarray = np.concatenate(list(result.preview), axis=1)
        picture.paste(Image.fromarray(wide), (0, 0))
    return picture


def _short(text: str) -> str:
    """What fits, of letters that every font has; a path's end tells more."""
    plain = text.encode("ascii", "replace").decode()
    return plain if len(plain) <= _LETTERS else f"...{plain[-_LETTERS + 3 :]}"
