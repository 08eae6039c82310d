"""Writes simulated scans as NIfTI and a contact sheet of their slices, to look at.

python -m pipeline.phantom --out data/phantom --subjects 2
"""

import csv
import dataclasses
import logging
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np

from mri_contrast.scans import Scan
from mri_contrast.slices import cut_planes
from pipeline.command import run_command
from pipeline.phantom import PhantomConfig, PhantomScan, phantom_scans
from pipeline.progress import progress
from pipeline.sheet import write_sheet

_PLANES: Final = ("sagittal", "coronal", "axial")

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class WriteConfig:
    """Writes simulated scans as NIfTI files with their labels in `labels.csv`.

    Attributes:
        out: Folder for the scans, `labels.csv` and `sheet.png`.
        subjects: How many heads; each gives 13 scans.
        seed: Another seed gives other heads and other protocols.
    """

    out: Path = Path("data/phantom")
    subjects: int = 2
    seed: int = 7


def write(config: WriteConfig) -> None:
    """Writes the scans, their labels and the contact sheet."""
    scans = phantom_scans(PhantomConfig(config.subjects, config.seed))
    config.out.mkdir(parents=True, exist_ok=True)
    rows = defaultdict(list)
    with (
        (config.out / "labels.csv").open("w", newline="") as file,
        progress("simulating", len(scans), "scans") as advance,
    ):
        labels = csv.writer(file)
        labels.writerow(("path", "label", "subject", "source"))
        for scan in scans:
            voxels = scan.read()
            name = f"{scan.name}.nii.gz"
            nib.save(as_nifti(voxels), config.out / name)
            labels.writerow((name, scan.contrast, scan.subject, scan.source))
            for row, slices in _sheet_rows(scan, voxels).items():
                rows[row].extend(slices)
            advance()
    write_sheet(config.out / "sheet.png", dict(sorted(rows.items())))
    _log.info("%d scans, labels.csv and sheet.png in %s", len(scans), config.out)


def as_nifti(scan: Scan) -> nib.Nifti1Image:
    """A NIfTI image with the scan's spacing (mm) and no other header text."""
    return nib.Nifti1Image(scan.voxels, np.diag([*scan.spacing, 1.0]))


def _sheet_rows(scan: PhantomScan, voxels: Scan) -> dict[str, list[np.ndarray]]:
    """Slices by class and plane; what is no brain has no planes."""
    planes = cut_planes(voxels)
    if scan.kind == "object":
        return {
            "other object": [slices[len(slices) // 2] for slices in planes.values()]
        }
    stored = scan.acquisition().permutation
    return {
        f"{scan.contrast} {_PLANES[stored[axis]]}": list(slices[::2])
        for axis, slices in planes.items()
    }


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(WriteConfig, write, prog="python -m pipeline.phantom")


if __name__ == "__main__":
    sys.exit(main())
