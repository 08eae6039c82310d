"""Training slices as the network saw them: stored, and augmented three times."""

import json
from typing import Final

import numpy as np
from PIL import Image

from pipeline.answering import Answerer
from pipeline.augment import AugmentConfig
from pipeline.augment_sheet import COLUMNS, rows
from pipeline.dataset import evaluation_batches
from pipeline.manifest import NAME
from pipeline.sheet import draw_sheet

_DRAWS: Final = 3
_ALL: Final = "all together"


def augmented_slices(answerer: Answerer) -> Image.Image | None:
    """Draws some training slices with the run's own augmentation.

    Returns:
        None where the slices are not at hand: an exported model, or shards that are
        gone.
    """
    shards = answerer.shards
    if shards is None or not (shards / NAME).is_file():
        return None
    batch = next(iter(evaluation_batches(shards, "train", batch_size=COLUMNS)))
    slices = batch["image"].numpy()
    settings = json.loads((answerer.folder / "config.json").read_text())
    augment = AugmentConfig(**settings.get("augment", {}))
    drawn = {"as stored": list(slices)}
    for seed in range(_DRAWS):
        drawn[f"augmented, draw {seed + 1}"] = rows(slices, augment, seed)[_ALL]
    sheet = draw_sheet(drawn, columns=COLUMNS)
    return sheet.resize((np.array(sheet.size) * 2 // 3).tolist())
