"""The goal rows of an evaluation in the table."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import results
from bench.record import main
from bench.results import at_least, at_most
from pipeline.evaluate.rows import rows
from pipeline.files import write_json


def evaluation(path: Path, **changes: Any) -> Path:
    """What `make evaluate` writes where neither shards nor real scans are named."""
    content = {"model": {"name": "mri_contrast version 1"}, "rows": rows({})}
    write_json(path, {**content, **changes})
    return path


def test_rows_of_an_evaluation_replace_their_own_and_keep_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "results.json"
    before = [
        at_least("input.vs_study", [30.0], [25], "kept"),
        at_most("volume.ece", 0.01, 0.03, "of an earlier model"),
    ]
    results.save(before, table)
    found = evaluation(tmp_path / "evaluation.json")
    assert main([str(found), "--out", str(table)]) == 0
    written = json.loads(table.read_text())
    named = {row["id"]: row for row in written["rows"]}
    assert list(named) == [
        *("input.vs_study", "real.accuracy", "real.other", "volume.ece", "volume.risk")
    ]
    assert named["input.vs_study"]["detail"] == "kept"
    ece = named["volume.ece"]
    assert (ece["value"], ece["reach"], ece["ok"]) == (None, "≤ 0.03", False)
    assert ece["detail"].startswith("mri_contrast version 1: not measured: ")
    assert set(written) == {"machine", "rows"}
    assert "volume.risk" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["no json", "{}", '{"model": {"name": "a"}}'])
def test_what_is_no_evaluation_changes_nothing(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, table = tmp_path / "evaluation.json", tmp_path / "results.json"
    wrong.write_text(content)
    assert main([str(wrong), "--out", str(table)]) == 2
    assert "`make evaluate` wrote" in capsys.readouterr().err
    assert not table.exists()
