"""What is stored of the networks, and the table of it; nothing is trained."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bench.networks import NetworksConfig, compare, main, settings_of, table
from pipeline.files import write_json

MEASURED = {
    "slices": 1200,
    "parameters": 9,
    "loss": 0.5,
    "accuracy": 0.75,
    "ece": 0.01,
    "milliseconds": 1.5,
    "real": None,
    "real_scans": 0,
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NetworksConfig:
    monkeypatch.delenv("MRI_REAL_DATA", raising=False)
    config = NetworksConfig(out=tmp_path, only=("default",))
    (tmp_path / "default").mkdir()
    content = {"settings": settings_of(config, "default"), **MEASURED}
    write_json(tmp_path / "default" / "judged.json", content)
    return config


def test_the_table_begins_with_what_each_training_was_given(
    config: NetworksConfig,
) -> None:
    lines = table(config)
    for said in ("40 simulated heads, 520 scans", "1200 training", "8 epochs, seed 0"):
        assert said in lines[0]
    assert lines[0].endswith("Judged on 0 real scans.")
    assert (
        lines[4] == "| default: 16 32 48 64 96 | 9 | 1.50 | 0.5000 | 75.0% | 0.010 |  |"
    )


@pytest.mark.parametrize("changes", [{"epochs": 9}, {"subjects": 41}, {"seed": 1}])
def test_what_was_measured_with_other_settings_is_refused(
    changes: dict[str, Any], config: NetworksConfig
) -> None:
    with pytest.raises(ValueError, match=f"of another {next(iter(changes))}; give the"):
        compare(dataclasses.replace(config, **changes))


def test_other_real_scans_are_refused(
    config: NetworksConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.csv").write_text("path,label\na.nii,T1\n")
    monkeypatch.setenv("MRI_REAL_DATA", str(tmp_path / "labels.csv"))
    with pytest.raises(ValueError, match="of another set of real scans"):
        compare(config)


def test_a_run_that_cannot_be_judged_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["judge", "--run", str(tmp_path)]) == 2
    assert "not a finished run" in capsys.readouterr().err
