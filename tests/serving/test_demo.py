"""`make demo` in small: the same script, fewer heads and epochs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.demo import Unseen, unseen_scans

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_the_demo_goes_all_the_way_and_says_what_it_made(tmp_path: Path) -> None:
    result = subprocess.run(
        ["bash", ROOT / "serving" / "demo.sh"],
        cwd=tmp_path,
        env={
            **{key: value for key, value in os.environ.items()
               if key != "MRI_REAL_DATA"},
            "PYTHONPATH": str(ROOT),
            "MRI_PYTHON": sys.executable,
            "DEMO_SUBJECTS": "6",
            "DEMO_EPOCHS": "1",
            "COLUMNS": "120",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    for step in range(1, 7):
        assert f"== {step}/6" in result.stdout
    assert "installed: mni_icbm152" in result.stdout
    assert "simulated: phantom-2026" in result.stdout
    assert "Next: make serve" in result.stdout
    assert (tmp_path / "models" / "mri_contrast" / "1" / "saved_model.pb").is_file()
    assert (tmp_path / "runs" / "train" / "demo" / "evaluation.json").is_file()


def test_the_unseen_scans_exist_and_none_is_in_the_training_seed(
    tmp_path: Path,
) -> None:
    (tmp_path / "labels.csv").write_text("path,label\nfresh.nii.gz,T2\n")
    (tmp_path / "fresh.nii.gz").touch()
    scans = list(unseen_scans(tmp_path))
    assert all(scan.path.is_file() for scan in scans)
    assert Unseen("simulated", tmp_path / "fresh.nii.gz", "T2") in scans
    assert {scan.contrast for scan in scans if scan.group == "installed"} == {
        "T1",
        "other",
    }
    script = (ROOT / "serving" / "demo.sh").read_text()
    assert "--seed 2026" in script
