"""A small ablation from end to end, and the table's arithmetic."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import ablation
from pipeline.ablation import ALL, AblationConfig, ablate, main, settings_of
from pipeline.files import write_json
from pipeline.judging import RealScan
from pipeline.phantom.__main__ import WriteConfig, write


def scan(name: str, contrast: str, subject: str) -> RealScan:
    return RealScan(name, contrast, subject, np.zeros((1, 150, 150), np.uint8))


def listed(folder: Path, *names: str) -> Path:
    """A list of real scans that nobody needs to read."""
    table = folder / "labels.csv"
    table.write_text(
        "path,label\n" + "".join(f"{name}.nii,T1\n" for name in names or ("a",))
    )
    return table


def scored(
    config: AblationConfig, row: str, seed: int, **scores: tuple[float, float, bool]
) -> None:
    folder = config.out / f"{row}-{seed}"
    folder.mkdir(parents=True)
    content = {"settings": settings_of(config), "slices": 900 + seed, "scans": scores}
    write_json(folder / "real.json", content)


def lines_of(config: AblationConfig, scans: list[RealScan]) -> list[str]:
    return "\n".join(ablation.table(config, scans)).splitlines()


def test_the_table_averages_over_seeds_and_classes_and_takes_differences(
    tmp_path: Path,
) -> None:
    config = AblationConfig(listed(tmp_path), tmp_path, only=("fat",), seeds=(0, 1))
    scans = [scan("a", "T1", "p"), scan("b", "T1", "q"), scan("c", "T2", "r")]
    told = {"b": (0.5, 0.8, True), "c": (1.0, 0.7, True)}
    for seed in (0, 1):
        scored(config, ALL, seed, a=(1.0, 0.9, True), **told)
    scored(config, "fat", 0, a=(0.5, 0.4, False), **told)
    scored(config, "fat", 1, a=(0.3, 0.4, False), **told)
    lines = lines_of(config, scans)
    # T1: (1 + 0.5) / 2 = 0.75, T2: 1; without fat T1: (0.4 + 0.5) / 2 = 0.45.
    assert lines[4].startswith("| nothing | 87.5% |  | 100.0% |")
    assert lines[5].startswith("| fat | 72.5% | -15.0 (")
    assert "| 75.0% |" in lines[5]
    for said in (
        "40 simulated heads, 520 scans, 900 to 901 training slices, 4 epochs",
        "preset small;",
        *("seeds 0, 1", "3 real scans of 3 people"),
    ):
        assert said in lines[0]


def test_a_scan_is_right_where_its_class_is_the_likeliest(tmp_path: Path) -> None:
    config = AblationConfig(listed(tmp_path), tmp_path, only=(), seeds=(0,))
    scored(config, ALL, 0, a=(1.0, 0.4, True), b=(1.0, 0.45, False))
    lines = lines_of(config, [scan("a", "T1", "p"), scan("b", "T1", "q")])
    assert lines[4].startswith("| nothing | 100.0% |  | 50.0% |")


def test_a_change_that_every_person_shows_has_a_narrow_interval(tmp_path: Path) -> None:
    config = AblationConfig(listed(tmp_path), tmp_path, only=("head",), seeds=(0,))
    scans = [scan(str(i), "T1", str(i)) for i in range(8)]
    scored(config, ALL, 0, **{str(i): (0.9, 0.9, True) for i in range(8)})
    scored(config, "head", 0, **{str(i): (0.7, 0.9, True) for i in range(8)})
    lines = lines_of(config, scans)
    assert "| head | 70.0% | -20.0 (-20.0 to -20.0) |" in lines[5]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epochs": 6}, "of another epochs; give the same .*--out"),
        ({"subjects": 41}, "of another subjects"),
        ({"real": True}, "of another set of real scans"),
    ],
)
def test_scores_of_other_settings_are_refused(
    changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    config = AblationConfig(listed(tmp_path), tmp_path, only=(), seeds=(0,))
    scored(config, ALL, 0)
    if "real" in changes:
        changes = {"real": listed(tmp_path / "more", "another")}
    with pytest.raises(ValueError, match=named):
        ablate(dataclasses.replace(config, **changes))


def test_scores_of_another_phantom_are_refused(tmp_path: Path) -> None:
    config = AblationConfig(listed(tmp_path), tmp_path, only=(), seeds=(0,))
    scored(config, ALL, 0)
    file = tmp_path / "all-0" / "real.json"
    content = json.loads(file.read_text())
    content["settings"]["phantom code"] = "before"
    write_json(file, content)
    with pytest.raises(ValueError, match=r"of another phantom code; .*delete"):
        ablate(config)


def test_a_training_that_fails_is_named_without_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "all-0").mkdir(parents=True)
    (tmp_path / "out" / "all-0" / "shards").write_text("no folder")
    words = ["--real", str(listed(tmp_path)), "--out", str(tmp_path / "out")]
    assert main([*words, "--seeds", "0"]) == 2
    errors = capfd.readouterr().err
    assert "`python -m pipeline.shards --phantom 40 " in errors
    assert "failed with code 2, as said above" in errors
    assert "Traceback" not in errors


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(ValueError, match=r"salt cannot be left out; there are .*fat"):
        AblationConfig(only=("fat+salt",))


def test_without_real_scans_it_says_what_to_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MRI_REAL_DATA", raising=False)
    with pytest.raises(ValueError, match="--real FOLDER, or MRI_REAL_DATA"):
        ablate(AblationConfig(out=tmp_path))


@pytest.mark.timeout(600)
def test_trainings_are_judged_once_and_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    judged = tmp_path / "judged"
    write(WriteConfig(judged, subjects=1, seed=5))
    config = AblationConfig(
        real=judged / "labels.csv",
        out=tmp_path / "out",
        only=("fat+head",),
        seeds=(0,),
        subjects=3,
        epochs=1,
    )
    ablate(config)
    first = (config.out / "ablation.md").read_text()
    assert "| nothing |" in first
    assert "| fat+head |" in first
    assert not (config.out / "all-0" / "shards").exists()
    made = {path: path.stat().st_mtime_ns for path in config.out.glob("*/real.json")}
    ablate(dataclasses.replace(config))
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert (config.out / "ablation.md").read_text() == first
    assert first.strip() in capfd.readouterr().out
