"""`make demo` in small: the same script, fewer heads and epochs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.demo import DemoConfig, Unseen, demo, unseen_scans
from serving.registry import NAME

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
    assert "simulated: phantom-77" in result.stdout
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
    assert "--seed 77" in script


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A picture that is simulated for all that the demo knows."""
    noise = np.random.default_rng(1).integers(0, 255, (60, 60), np.uint8)
    Image.fromarray(noise).save(tmp_path / "fresh.png")
    (tmp_path / "labels.csv").write_text("path,label\nfresh.png,T2\n")
    return tmp_path


def test_both_models_stand_side_by_side_with_their_counts(
    fresh: Path, root: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("MRI_REAL_DATA", raising=False)
    demo(DemoConfig(fresh=fresh, models=root, released=root / NAME))
    said = capsys.readouterr().out
    assert re.search(r"demo +┃ prob. ┃ released +┃ prob.", said)
    (row,) = [line for line in said.splitlines() if "fresh.png" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:2] == ["simulated: fresh.png", "T2"]
    assert cells[2:4] == cells[4:6]  # Here both are copies of one model.
    counts = re.findall(
        r"^(\w+): (\d+) right, (\d+) unsure, (\d+) wrong, (\d+) refused$", said, re.M
    )
    assert [name for name, *_ in counts] == ["demo", "released"]
    asked = len(list(unseen_scans(fresh)))
    assert all(sum(map(int, numbers)) == asked for _, *numbers in counts)


def test_the_demo_goes_on_without_a_released_model(
    fresh: Path, root: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.delenv("MRI_REAL_DATA", raising=False)
    demo(DemoConfig(fresh=fresh, models=root, released=tmp_path / "none"))
    said = capsys.readouterr().out
    assert re.search(r"demo +┃ prob. ┃\n", said)
    assert "no released model to compare with" in said
