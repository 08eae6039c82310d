import csv
from pathlib import Path

from PIL import Image

from mri_contrast.scans import read_scan
from mri_contrast.slices import cut
from pipeline.phantom import SCANS_PER_SUBJECT
from pipeline.phantom.__main__ import WriteConfig, write


def test_scans_are_written_as_nifti_with_labels_and_a_sheet(tmp_path: Path) -> None:
    write(WriteConfig(out=tmp_path, subjects=1, seed=3))
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == SCANS_PER_SUBJECT
    for row in rows[:2]:
        assert len(cut(read_scan(tmp_path / row["path"]))) >= 1
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 130 + 10 * 150
        assert sheet.height >= 4 * 150
        assert sheet.getextrema()[1] == 255
