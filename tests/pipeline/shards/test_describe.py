from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mri_contrast.slices import SIZE
from pipeline.manifest import Manifest
from pipeline.shards.__main__ import main
from pipeline.shards.describe import sources

Built = tuple[Path, Manifest]


def test_the_tables_hold_the_counts_and_what_made_the_shards(
    shards: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, manifest = shards
    assert main(["describe", "--shards", str(folder), "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    train, validation, test, source = (row for row in cells if row)
    of_each = ["10 of 10 scans"] * 4
    assert train == ["train", "10", "40", "40", *of_each, "4", "0.23 to 0.23"]
    assert validation[:4] == ["validation", "1", "4", "4"]
    assert test[:4] == ["test", "1", "4", "4"]
    assert source == ["scans", "48", "12", "12", "12", "12"]
    assert any(manifest.sha256 in line for line in lines)
    assert "  shard_megabytes: 0.24" in lines


def test_sources_are_counted_over_all_shards_by_any_number_of_workers(
    shards: Built,
) -> None:
    folder, manifest = shards
    counts = sources(folder, manifest, workers=2)
    assert counts == {("scans", name): 12 for name in ("T1", "T2", "FLAIR", "other")}


def test_the_sheet_shows_slices_of_each_class_and_split(
    shards: Built, tmp_path: Path
) -> None:
    folder, _ = shards
    sheet = tmp_path / "sheet.png"
    command = ["--shards", str(folder), "--sheet", str(sheet), "--workers", "1"]
    assert main(["describe", *command]) == 0
    pixels = np.asarray(Image.open(sheet))
    assert pixels.shape[0] == 12 * SIZE
    filled = pixels.reshape(12, SIZE, -1)[:, :, 130:].reshape(12, SIZE, 10, SIZE)
    shown = (filled.max(axis=(1, 3)) > 100).sum(axis=1)
    assert shown.tolist() == [10, 1, 1] * 4
