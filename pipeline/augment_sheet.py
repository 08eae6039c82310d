"""Draws what each augmentation does to a scan's slices.

python -m pipeline.augment_sheet --out sheet.png [--scan SCAN]
"""

import dataclasses
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mri_contrast.scans import read_scan
from mri_contrast.slices import cut
from pipeline.augment import STRENGTHS, AugmentConfig, apply, sample
from pipeline.command import run_command
from pipeline.scoring import normalise
from pipeline.sheet import write_sheet

COLUMNS: Final = 8
_ATLAS: Final = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"

_ROWS: Final = {
    "quarter turns and flips": (),
    "rotation, zoom, shear, shift": ("rotation", "zoom", "shear", "shift"),
    "bias field": ("bias",),
    "gamma and gain": ("gamma", "gain"),
    "dim": ("dim",),
    "noise": ("noise",),
    "blur or sharpen": ("blur",),
    "all together": STRENGTHS,
}


@dataclasses.dataclass(frozen=True, slots=True)
class SheetConfig:
    """Draws a sheet of augmented slices.

    Attributes:
        out: The PNG.
        scan: Whose slices; the MNI152 T1 average that nilearn carries if not given.
        seed: Another seed draws other augmentations.
        augment: How far slices are changed.
    """

    out: Path
    scan: Path | None = None
    seed: int = 0
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)


def rows(
    slices: NDArray[np.uint8], config: AugmentConfig, seed: int
) -> dict[str, list[NDArray[np.uint8]]]:
    """Augments slices by one kind of change after the other.

    Args:
        slices: (n, 150, 150) uint8.
        config: How far each change goes.
        seed: The same draws in every row, so that rows differ in the change alone.

    Returns:
        Title to n slices (150, 150) uint8, the unchanged ones first.
    """
    drawn = {"as stored": list(slices)}
    for title, names in _ROWS.items():
        without: dict[str, Any] = {name: 0.0 for name in STRENGTHS if name not in names}
        only = dataclasses.replace(config, **without)
        parameters = sample(only, len(slices), tf.constant([seed, 0], tf.int32))
        changed = apply(normalise(tf.constant(slices)), parameters)
        drawn[title] = list((changed.numpy()[..., 0] * 255).round().astype(np.uint8))
    return drawn


def draw(config: SheetConfig) -> None:
    """Cuts the scan, augments its slices and writes the sheet."""
    atlas = Path(str(files("nilearn.datasets.data") / _ATLAS))
    slices = cut(read_scan(config.scan or atlas))
    chosen = slices[np.linspace(0, len(slices) - 1, COLUMNS).round().astype(int)]
    write_sheet(config.out, rows(chosen, config.augment, config.seed), columns=COLUMNS)
    print(f"written: {config.out}")


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(SheetConfig, draw, prog="python -m pipeline.augment_sheet")


if __name__ == "__main__":
    sys.exit(main())
