import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import results, study
from bench.__main__ import BenchConfig, main
from bench.material import prepare
from bench.results import Row, at_least
from bench.timing import Effort, side_by_side


def test_a_small_run_writes_every_row_and_prints_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    small = ["--slices", "130", "--subjects", "1", "--seconds", "0.05", "--repeats=1"]
    assert main(["--out", str(out), "--material", str(tmp_path), *small]) == 0
    content = json.loads(out.read_text())
    assert set(content) == {"machine", "revision", "rows"}
    assert content["machine"]["cores"] >= 1
    rows = {row["id"]: row for row in content["rows"]}
    assert set(rows) == {"input.vs_study", "input.vs_limit"}
    for row in rows.values():
        assert set(row) == {"id", "value", "reach", "ok", "detail"}
        assert "130 slices" in row["detail"]
    assert all(value > 0 for value in rows["input.vs_study"]["value"])
    assert rows["input.vs_study"]["reach"] == "≥ 200 / 20"
    assert rows["input.vs_limit"]["value"] > 0
    assert "input.vs_study" in capsys.readouterr().out


def test_the_same_slices_are_there_as_files_and_as_records(tmp_path: Path) -> None:
    material = prepare(tmp_path, slices=100, subjects=1)
    assert material.slices == 100
    files = sorted(material.png.glob("*/*.png"))
    assert [folder.name for folder in sorted(material.png.iterdir())] == [
        *("T1", "T2", "flair")
    ]
    assert len(files) == 100
    before = files[0].stat().st_mtime_ns
    assert prepare(tmp_path, slices=100, subjects=1) == material
    assert files[0].stat().st_mtime_ns == before


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for label in ("T1", "T2", "flair"):
        (tmp_path / label).mkdir()
        for number in range(12):
            grey = np.full((150, 150), 20 * number, np.uint8)
            Image.fromarray(grey).save(tmp_path / label / f"{label}_{number}_1.png")
    return tmp_path


def test_the_study_s_network_has_its_parameters() -> None:
    assert study.network().count_params() == study.PARAMETERS


@pytest.mark.parametrize("augment", [True, False])
def test_the_study_s_generator_gives_its_batches(pictures: Path, augment: bool) -> None:
    images, labels = next(study.generator(pictures, augment=augment))
    assert images.shape == (32, 150, 150, 3)
    assert labels.shape == (32, 3)
    assert images.min() >= -0.01
    assert 0.5 < images.max() <= 1.01


def test_the_study_s_program_trains(pictures: Path) -> None:
    model = study.network()
    before = model.get_weights()[0]
    assert study.train(model, study.generator(pictures, augment=False), steps=1) == 32
    assert not np.array_equal(before, model.get_weights()[0])


SIZES = {"small": 1, "large": 1000}


def test_contestants_take_turns_and_the_median_counts() -> None:
    order: list[str] = []

    def contestant(name: str, slices: int):
        order.append(name)
        while True:
            yield slices

    rates = side_by_side(
        {name: lambda n=name, s=size: contestant(n, s) for name, size in SIZES.items()},
        Effort(seconds=0.01, repeats=3),
    )
    assert order == ["small", "large"] * 3
    assert rates["large"] > 10 * rates["small"] > 0


def test_a_goal_holds_only_where_every_figure_reaches_it() -> None:
    assert at_least("x", [210, 25], [200, 20], "both").ok
    assert not at_least("x", [210, 19], [200, 20], "one").ok
    assert at_least("x", [0.61], [0.6], "one figure").value == 0.61


def test_what_was_not_measured_is_not_ok() -> None:
    assert not Row("x", None, "≥ 1", False, "needs a GPU").ok
    with pytest.raises(ValueError, match="was not measured"):
        Row("x", None, "≥ 1", True, "needs a GPU")


def test_rows_of_other_ids_stay_and_those_of_another_machine_go(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.save(
        [Row("a", 1.0, "≥ 1", True, "old"), Row("b", 2.0, "≥ 1", True, "")], path
    )
    results.save([Row("a", 3.0, "≥ 1", True, "new")], path)
    assert [
        (row["id"], row["value"]) for row in json.loads(path.read_text())["rows"]
    ] == [
        ("a", 3.0),
        ("b", 2.0),
    ]
    elsewhere = json.loads(path.read_text()) | {"machine": {"processor": "another"}}
    path.write_text(json.dumps(elsewhere))
    results.save([Row("c", 1.0, "≥ 1", True, "")], path)
    assert [row["id"] for row in json.loads(path.read_text())["rows"]] == ["c"]


@pytest.mark.parametrize(("name", "value"), [("slices", 10), ("repeats", 0)])
def test_settings_that_measure_nothing_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        BenchConfig(**{name: value})
