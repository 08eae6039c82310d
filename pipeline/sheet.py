"""Contact sheets: slices side by side, to be looked at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mri_contrast.slices import SIZE

_TITLE_WIDTH: Final = 130


def write_sheet(
    path: Path, rows: Mapping[str, Sequence[NDArray[np.uint8]]], *, columns: int = 10
) -> None:
    """Writes a PNG with one row of slices for each title, as `draw_sheet` draws it."""
    sheet = draw_sheet(rows, columns=columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def draw_sheet(
    rows: Mapping[str, Sequence[NDArray[np.uint8]]], *, columns: int = 10
) -> Image.Image:
    """Draws one row of slices for each title.

    Args:
        rows: Title, whose words go on lines of their own, to (150, 150) uint8 slices.
        columns: Slices shown of each row, spread over what there is.

    Raises:
        ValueError: There is nothing to show.
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one row of slices, got none")
    sheet = Image.new("L", (_TITLE_WIDTH + columns * SIZE, len(rows) * SIZE))
    draw = ImageDraw.Draw(sheet)
    for row, (title, slices) in enumerate(rows.items()):
        for line, word in enumerate(title.split()):
            draw.text((4, row * SIZE + 8 + 14 * line), word, fill=255)
        spread = np.linspace(0, len(slices) - 1, min(columns, len(slices)))
        for column, index in enumerate(spread.round().astype(int)):
            place = (_TITLE_WIDTH + column * SIZE, row * SIZE)
            sheet.paste(Image.fromarray(slices[index]), place)
    return sheet
