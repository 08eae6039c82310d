from pathlib import Path

import numpy as np
import pytest

from bench import inputs, ours
from bench.material import Material
from bench.results import Row
from bench.rivals import PYTHON, Rivals
from bench.timing import Effort, Rates, Turn

LOCAL = {"memmap", "keras_png", "study", "study_augmented"}


@pytest.fixture(scope="module")
def rows(material: Material, nobody: Path) -> dict[str, Row]:
    found = inputs.measure(material, Effort(seconds=0.05, repeats=1), nobody)
    return {row.id: row for row in found}


def test_every_loader_and_stage_has_a_row_that_names_its_limit(
    rows: dict[str, Row],
) -> None:
    assert set(rows) == {
        *("input.vs_study", "input.vs_limit", "input.vs_peers"),
        *("stage.read", "stage.parse", "stage.shuffle"),
        *(f"loader.{name}" for name in LOCAL | {"grain", "webdataset", "torch_png"}),
    }
    for row in rows.values():
        if row.value is not None:
            assert "limit: " in row.detail, row.id
            assert np.all(np.asarray(row.value) > 0), row.id
    assert rows["input.vs_study"].reach == "≥ 200 / 20"
    assert "300 slices" in rows["input.vs_study"].detail
    assert rows["input.vs_limit"].reach == "≥ 0.6"


def test_peers_that_are_not_installed_say_so_and_are_not_reached(
    rows: dict[str, Row],
) -> None:
    for name in ("loader.grain", "loader.torch_png", "input.vs_peers"):
        assert rows[name].value is None
        assert not rows[name].ok
        assert "not measured: " in rows[name].detail
        assert "`make peers` builds it" in rows[name].detail
    assert rows["input.vs_peers"].reach == "≥ 1"
    assert rows["loader.memmap"].ok


def test_the_fastest_peer_is_the_one_to_beat() -> None:
    rates = Rates(
        {
            "ours": [Turn(300.0), Turn(330.0), Turn(100.0)],
            "read": [Turn(400.0)],
            "grain": [Turn(100.0), Turn(110.0), Turn(50.0)],
            "webdataset": [Turn(60.0), Turn(66.0), Turn(25.0)],
        }
    )
    found = Rivals({}, {"grain": 2, "webdataset": 0}, {})
    row = inputs._against_peers(rates, found, "terms")
    assert row.value == 3
    assert row.ok
    assert "grain 100 (2 workers)" in row.detail


def test_every_form_holds_the_same_slices(material: Material) -> None:
    found = list(ours.every_slice(material.shards, "train"))
    images, labels = material.forms.read()
    assert np.array_equal(np.concatenate([image for image, _ in found]), images)
    assert np.array_equal(np.concatenate([label for _, label in found]), labels)
    assert set(labels.tolist()) == {0, 1, 2}


@pytest.mark.skipif(
    not PYTHON.is_file(), reason="the other loaders are not here: `make peers`"
)
def test_peers_that_are_installed_are_measured(material: Material) -> None:
    rows = inputs.measure(material, Effort(seconds=0.05, repeats=1), PYTHON)
    found = {row.id: row for row in rows}
    for name in ("loader.grain", "loader.webdataset", "loader.torch_png"):
        assert found[name].value is not None, found[name].detail
        assert "workers" in found[name].detail
    assert found["input.vs_peers"].value is not None
