"""A small ablation from end to end, and the table's arithmetic."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline import ablation
from pipeline.ablation import ALL, AblationConfig, RealScan, ablate
from pipeline.files import write_json
from pipeline.phantom.__main__ import WriteConfig, write


def scan(name: str, contrast: str, subject: str) -> RealScan:
    return RealScan(name, contrast, subject, np.zeros((1, 150, 150), np.uint8))


def scored(config: AblationConfig, row: str, seed: int, **scores: list[float]) -> None:
    folder = config.out / f"{row}-{seed}"
    folder.mkdir(parents=True)
    write_json(folder / "real.json", scores)


def test_the_table_averages_over_seeds_and_classes_and_takes_differences(
    tmp_path: Path,
) -> None:
    config = AblationConfig(out=tmp_path, only=("fat",), seeds=(0, 1))
    scans = [scan("a", "T1", "p"), scan("b", "T1", "q"), scan("c", "T2", "r")]
    for seed in (0, 1):
        scored(config, ALL, seed, a=[1.0, 0.9], b=[0.5, 0.8], c=[1.0, 0.7])
    scored(config, "fat", 0, a=[0.5, 0.4], b=[0.5, 0.8], c=[1.0, 0.7])
    scored(config, "fat", 1, a=[0.3, 0.4], b=[0.5, 0.8], c=[1.0, 0.7])
    lines = "\n".join(ablation.table(config, scans)).splitlines()
    # T1: (1 + 0.5) / 2 = 0.75, T2: 1; without fat T1: (0.4 + 0.5) / 2 = 0.45.
    assert lines[2].startswith("| nothing | 87.5% |  | 100.0% |")
    assert lines[3].startswith("| fat | 72.5% | -15.0 (")
    assert "| 75.0% |" in lines[3]


def test_a_change_that_every_person_shows_has_a_narrow_interval(tmp_path: Path) -> None:
    config = AblationConfig(out=tmp_path, only=("head",), seeds=(0,))
    scans = [scan(str(i), "T1", str(i)) for i in range(8)]
    scored(config, ALL, 0, **{str(i): [0.9, 0.9] for i in range(8)})
    scored(config, "head", 0, **{str(i): [0.7, 0.9] for i in range(8)})
    lines = "\n".join(ablation.table(config, scans)).splitlines()
    assert "| head | 70.0% | -20.0 (-20.0 to -20.0) |" in lines[3]


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
