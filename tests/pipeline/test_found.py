"""Presets in files: what is written is read again, and what is wrong is named."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import tyro

from pipeline.augment import AugmentConfig
from pipeline.found import APART, load_preset, save_preset, settings_of
from pipeline.hyper import HyperParameters
from pipeline.presets import PRESETS, chosen, preset
from pipeline.provenance import made_with
from pipeline.train import TrainConfig


def written(folder: Path, content: Any) -> Path:
    path = folder / "preset.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_a_training_that_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "found" / "preset.json"
    settings = dataclasses.replace(preset(name), learning_rate=0.0123)
    save_preset(path, settings, {"why": "the best of 30"})
    assert preset(str(path)) == dataclasses.replace(settings, preset=str(path))
    assert json.loads(path.read_text())["evidence"] == {"why": "the best of 30"}


def test_what_belongs_to_one_training_is_left_out(tmp_path: Path) -> None:
    given = settings_of(TrainConfig(run=Path("secret"), seed=7, device="gpu"))
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    assert given.keys() == fields - APART
    assert "secret" not in json.dumps(given)


def test_what_a_file_leaves_out_is_the_default(tmp_path: Path) -> None:
    hyper = {"filters": [8, 16], "dropout": 0}
    path = written(tmp_path, {"settings": {"epochs": 3, "hyper": hyper}})
    assert load_preset(path) == TrainConfig(
        preset=str(path), epochs=3, hyper=HyperParameters((8, 16), dropout=0)
    )


def test_options_go_before_those_of_the_file(tmp_path: Path) -> None:
    augment = {"rotation": 5}
    path = written(tmp_path, {"settings": {"epochs": 3, "augment": augment}})
    words = ["--epochs", "7", "--preset", str(path)]
    settings = tyro.cli(TrainConfig, args=words, default=chosen(words))
    assert (settings.epochs, settings.preset) == (7, str(path))
    assert settings.augment == AugmentConfig(rotation=5)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", r"preset\.json is no JSON"),
        ([], "has no settings; it needs"),
        ({"evidence": {}}, "has no settings; it needs"),
        ({"settings": {"epoch": 3}}, "no setting epoch; there are accumulate, augment"),
        ({"settings": {"seed": 3}}, "there is no setting seed"),
        ({"settings": {"hyper": {"depth": 3}}}, "there is no setting depth; .*dense"),
        ({"settings": {"hyper": 3}}, "hyper must hold settings of its own, got 3"),
        ({"settings": {"epochs": "3"}}, "epochs must be of int, got '3'"),
        ({"settings": {"hyper": {"filters": [8, "x"]}}}, r"filters must be of tuple"),
        ({"settings": {"schedule": "linear"}}, "schedule must be of .*'cosine'"),
        ({"settings": {"epochs": 0}}, "epochs must be at least 1, got 0"),
        ({"settings": {"hyper": {"filters": [8] * 7}}}, "1 to 6 blocks"),
    ],
)
def test_a_file_that_is_no_preset_is_refused_with_its_fault(
    content: Any, told: str, tmp_path: Path
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=rf"preset.*{told}"):
        preset(str(path))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no preset gone\.json; `make winner"):
        preset("gone.json")


def test_a_model_card_tells_no_folder_of_the_preset(tmp_path: Path) -> None:
    content = {"preset": "/home/me/search/preset.json", "seed": 0}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert made_with(tmp_path)["settings"]["preset"] == "preset.json"
