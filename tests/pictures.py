"""Labelled pictures that stand for somebody's own scans."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(folder: Path, contrasts: Sequence[str]) -> Path:
    """Writes a picture of each contrast, each another person's, with a manifest."""
    lines = ["path,label,subject"]
    for index, contrast in enumerate(contrasts):
        pixels = np.full((40, 40), 4, np.uint8)
        pixels[5:35, 5:35] = np.random.default_rng(index).integers(40, 200, (30, 30))
        Image.fromarray(pixels).save(folder / f"{index}.png")
        lines.append(f"{index}.png,{contrast},person{index}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder
