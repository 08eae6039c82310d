"""Pictures that stand inside a page, and heat laid over a slice."""

import base64
import io
from typing import Final

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRENGTH: Final = 0.65
"""Of the heat's colour at its peak: the slice stays to be seen."""

MAP: Final = "plasma"
"""Even steps of lightness, told apart by colour-blind eyes."""


def overlay(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lays heat over a slice; where there is none the slice is grey.

    Args:
        picture: (h, w) uint8.
        heat: (h, w) in [0, 1].

    Returns:
        (h, w, 3) uint8.
    """
    grey = np.repeat(picture[..., None] / 255, 3, axis=-1)
    colours = matplotlib.colormaps[MAP](heat)[..., :3]
    weight = STRENGTH * heat[..., None]
    mixed = grey * (1 - weight) + colours * weight
    return np.rint(mixed * 255).astype(np.uint8)


def png_uri(image: Image.Image) -> str:
    """Returns a picture as a `data:` address that a page can hold."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def side_by_side(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> Image.Image:
    """A slice, and the same with its heat, as one picture."""
    grey = np.repeat(picture[..., None], 3, axis=-1)
    gap = np.zeros((len(picture), 4, 3), np.uint8)
    return Image.fromarray(np.concatenate([grey, gap, overlay(picture, heat)], axis=1))
