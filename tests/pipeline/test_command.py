"""Ends of commands: what is said of a scan that cannot be read."""

from pathlib import Path

import pytest

from mri_contrast.errors import UnreadableScan
from pipeline import explain, predict
from pipeline.command import naming


def test_an_unreadable_scan_is_named(tmp_path: Path) -> None:
    scan = tmp_path / "upload.nii"
    with pytest.raises(UnreadableScan, match=r"upload\.nii: there is no such file"):
        predict.predict(predict.PredictConfig(scan))
    scan.write_bytes(b"nothing")
    with pytest.raises(UnreadableScan, match=r"upload\.nii: \w"):
        explain.explain(explain.ExplainConfig(scan, tmp_path / "page.png"))
    assert not (tmp_path / "page.png").exists()


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(OSError, match=r"^full$"), naming(Path("scan")):
        raise OSError("full")
