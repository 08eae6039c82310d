import dataclasses
import json
import shlex
from pathlib import Path

import keras_tuner
import pytest
import tyro

from pipeline.presets import chosen
from pipeline.train import TrainConfig
from tuner.space import configure, space
from tuner.winner import FILE, Winner, command


def saved(folder: Path, training: TrainConfig) -> tuple[Path, Winner]:
    path = folder / FILE
    winner = Winner("trial-0003", "validation_loss", 0.25, training, "ab" * 32)
    winner.save(path)
    return path, winner


def drawn(count: int) -> list[TrainConfig]:
    oracle = keras_tuner.oracles.RandomSearchOracle(
        max_trials=count, hyperparameters=space(), seed=1
    )
    trainings = []
    for index in range(count):
        point = space()
        point.values = oracle.populate_space(str(index))["values"]
        base = TrainConfig(run=Path("runs/train/a name"), epochs=3, seed=7)
        trainings.append(configure(point, base))
    return trainings


def test_every_point_is_a_training_that_its_command_repeats(tmp_path: Path) -> None:
    for training in drawn(20):
        path, _ = saved(tmp_path, training)
        words = shlex.split(json.loads(path.read_text())["command"])
        assert words[:3] == ["python", "-m", "pipeline.train"]
        typed = tyro.cli(TrainConfig, args=words[3:], default=chosen(words[3:]))
        assert typed == dataclasses.replace(training, preset=str(path))


def test_a_winner_is_read_as_it_was_written(tmp_path: Path) -> None:
    training = TrainConfig(shards=Path("elsewhere"), batch_size=8, seed=5)
    path, winner = saved(tmp_path, training)
    read = Winner.load(path)
    assert dataclasses.replace(read.training, preset="default") == training
    assert dataclasses.replace(read, training=training) == winner


def test_a_name_with_spaces_is_one_word_of_the_command() -> None:
    words = shlex.split(command(Path("my searches/winner.json"), TrainConfig()))
    assert "my searches/winner.json" in words


def test_a_search_without_a_winner_is_told_to_search(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no winner; search first: make t"):
        Winner.load(tmp_path / FILE)


@pytest.mark.parametrize("lacking", ["trial", "objective", "shards", "seed"])
def test_a_file_that_lacks_something_is_no_winner(lacking: str, tmp_path: Path) -> None:
    path, _ = saved(tmp_path, TrainConfig())
    content = json.loads(path.read_text())
    del content[lacking]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"is no winner of a search .*{lacking}"):
        Winner.load(path)
