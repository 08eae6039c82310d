import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import results, study
from bench.__main__ import BenchConfig, main
from bench.material import Material, prepare
from bench.results import Row, at_least, at_most, informs, unmeasured
from bench.timing import Effort, Rates, Turn, here, side_by_side


def test_a_small_run_of_one_group_writes_its_rows_and_prints_them(
    tmp_path: Path, material: Material, nobody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    small = ["--slices", "300", "--subjects", "1", "--seconds", "0.05", "--repeats=1"]
    places = ["--out", str(out), "--material", str(material.png.parent)]
    only = ["--only", "train", "--peers", str(nobody)]
    assert main([*places, *small, *only]) == 0
    content = json.loads(out.read_text())
    assert set(content) == {"machine", "rows"}
    assert content["machine"]["cores"] >= 1
    assert {row["id"] for row in content["rows"]} == {
        *("stage.augment", "stage.step", "train.fed")
    }
    for row in content["rows"]:
        assert set(row) == {"revision", "id", "value", "reach", "ok", "detail"}
    assert "train.fed" in capsys.readouterr().out


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


def test_contestants_take_turns_and_none_is_always_first() -> None:
    order: list[str] = []

    def contestant(name: str, slices: int):
        order.append(name)
        while True:
            yield slices

    rates = side_by_side(
        {
            name: here(lambda n=name, s=size: contestant(n, s))
            for name, size in SIZES.items()
        },
        Effort(seconds=0.01, repeats=3),
    )
    assert order == ["small", "large", "large", "small", "small", "large"]
    assert rates["large"] > 10 * rates["small"] > 0
    assert rates.cores("small") > 0


def test_a_ratio_is_taken_within_each_round() -> None:
    rates = Rates(
        {
            "fed": [Turn(99.0), Turn(49.0), Turn(9.9)],
            "memory": [Turn(100.0), Turn(50.0), Turn(10.0)],
        }
    )
    assert rates["fed"] == 49
    assert rates.ratio("fed", "memory") == pytest.approx(0.99)


def test_a_goal_holds_only_where_every_figure_reaches_it() -> None:
    assert at_least("x", [210, 25], [200, 20], "both").ok
    assert not at_least("x", [210, 19], [200, 20], "one").ok
    assert at_least("x", [0.61], [0.6], "one figure").value == 0.61


def test_what_was_not_measured_is_not_ok() -> None:
    assert not Row("x", None, "≥ 1", False, "needs a GPU").ok
    with pytest.raises(ValueError, match="was not measured"):
        Row("x", None, "≥ 1", True, "needs a GPU")


def test_what_only_informs_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    row = informs("stage.read", 94241.3, "limit: the copy")
    assert (row.value, row.reach, row.ok) == (94240, "-", True)
    results.show([row, unmeasured("loader.grain", "-", "not installed")])
    printed = capsys.readouterr().out
    assert "yes" not in printed
    assert "NO" in printed


def test_at_most_is_reached_from_below() -> None:
    assert at_most("x", 1.08, 1.1, "").ok
    assert not at_most("x", 1.12, 1.1, "").ok
    assert not at_most("x", 1.08, 1.1, "").failed().ok


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
    earlier = json.loads(path.read_text())
    earlier["rows"][1]["revision"] = "c0ffee"
    path.write_text(json.dumps(earlier))
    results.save([Row("a", 4.0, "≥ 1", True, "")], path)
    first, second = json.loads(path.read_text())["rows"]
    assert first["value"] == 4
    assert first["revision"] != second["revision"] == "c0ffee"
    elsewhere = json.loads(path.read_text()) | {"machine": {"processor": "another"}}
    path.write_text(json.dumps(elsewhere))
    results.save([Row("c", 1.0, "≥ 1", True, "")], path)
    assert [row["id"] for row in json.loads(path.read_text())["rows"]] == ["c"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("slices", 10), ("repeats", 0), ("people", 3), ("sizes", (1, 0))),
        ("only", ("inputs",)),
    ],
)
def test_settings_that_measure_nothing_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        BenchConfig(**{name: value})
