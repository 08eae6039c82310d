"""Tiny shards of real files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.contrasts import CLASSES
from pipeline.shards import ShardsConfig, build
from pipeline.sources import find_scans


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 PNG files of noise in a square, cut into shards: 40 slices to train on."""
    root = tmp_path_factory.mktemp("scans")
    generator = np.random.default_rng(0)
    for label, contrast in enumerate(CLASSES):
        (root / contrast).mkdir()
        for subject in range(12):
            pixels = np.full((36, 36), 4, np.uint8)
            low = 40 * label + 20
            pixels[6:30, 6:30] = generator.integers(low, low + 80, (24, 24))
            name = f"{contrast}_{subject}_1.png"
            Image.fromarray(pixels).save(root / contrast / name)
    out = tmp_path_factory.mktemp("shards") / "tiny"
    build(find_scans(root), ShardsConfig(out=out, data=root, workers=1))
    return out
