import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.command import run_command
from pipeline.manifest import load_manifest
from pipeline.runs import load_run
from tuner.search import SearchConfig, search


@pytest.fixture(scope="module")
def config(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchConfig:
    return SearchConfig(
        name="tiny",
        shards=shards,
        root=tmp_path_factory.mktemp("tune"),
        trials=2,
        epochs=3,
        batch_size=20,
        seed=5,
    )


@pytest.fixture(scope="module")
def interrupted(config: SearchConfig) -> int:
    """The exit code of a search that gets Ctrl+C as its first trial begins."""
    words = ["--name", config.name, "--shards", config.shards, "--root", config.root]
    words += ["--trials", "1", "--epochs", "3", "--batch-size", "20", "--seed", "5"]
    with subprocess.Popen(
        [sys.executable, "-m", "tuner.search", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("trial-0000"):
                process.send_signal(signal.SIGINT)
                break
        process.communicate(timeout=60)
    return process.returncode


@pytest.fixture(scope="module")
def finished(config: SearchConfig, interrupted: int) -> Path:
    """The folder of the search, started again and come to its end."""
    assert search(config) == 0
    return config.folder


def test_an_interrupt_ends_with_its_code_and_keeps_the_search(interrupted: int):
    assert interrupted == 130


def test_the_winner_is_the_trial_of_the_least_validation_loss(
    finished: Path, config: SearchConfig
):
    winner = json.loads((finished / "winner.json").read_text())
    losses = {
        run.name: min(
            json.loads(line)["validation_loss"]
            for line in (run / "metrics.jsonl").read_text().splitlines()
        )
        for run in finished.glob("trial-*")
    }
    assert winner["trial"] == min(losses, key=lambda name: losses[name])
    assert winner["objective"] == {
        "name": "validation_loss",
        "value": losses[winner["trial"]],
    }
    assert winner["seed"] == config.seed
    assert winner["manifest_sha256"] == load_manifest(config.shards).sha256


def test_the_winner_has_the_network_of_its_trial(finished: Path):
    winner = json.loads((finished / "winner.json").read_text())
    run = load_run(finished / winner["trial"])
    assert json.loads(json.dumps(run.hyper)) == winner["settings"]["hyper"]
    trained = json.loads((finished / winner["trial"] / "config.json").read_text())
    assert trained["learning_rate"] == winner["settings"]["learning_rate"]
    assert trained["weight_decay"] == winner["settings"]["weight_decay"]


def test_a_search_repeats_only_the_trial_that_was_running(finished: Path):
    assert sorted(run.name for run in finished.glob("trial-*")) == [
        "trial-0000",
        "trial-0001",
    ]


def test_a_finished_search_trains_nothing_more(finished: Path, config: SearchConfig):
    def written() -> dict[str, int]:
        files = finished.glob("trial-*/metrics.jsonl")
        return {str(path): path.stat().st_mtime_ns for path in files}

    before, winner = written(), (finished / "winner.json").read_text()
    assert search(config) == 0
    assert written() == before
    assert (finished / "winner.json").read_text() == winner


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 6}, "another seed"),
        ({"oracle": "random"}, "another oracle"),
        ({"epochs": 4}, "another epochs"),
    ],
)
def test_a_search_of_another_kind_is_refused_and_nothing_lost(
    finished: Path, config: SearchConfig, change: dict[str, object], told: str
):
    before = sorted(path for path in finished.rglob("*"))
    with pytest.raises(ValueError, match=told):
        search(dataclasses.replace(config, **change))
    assert sorted(path for path in finished.rglob("*")) == before


def code_of(*arguments: object) -> int:
    return run_command(
        SearchConfig,
        search,
        prog="python -m tuner.search",
        arguments=[str(argument) for argument in arguments],
    )


def test_missing_shards_end_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    root = tmp_path / "tune"
    assert code_of("--shards", tmp_path / "none", "--root", root) == 2
    assert "make shards" in capsys.readouterr().err
    assert not root.exists()


def test_batches_larger_than_the_data_end_with_code_2(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ("--shards", shards, "--root", tmp_path, "--batch-size", 4096)
    assert code_of(*words) == 2
    assert "batch_size must be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--trials", 0),
        ("--factor", 1),
        ("--seed", -1),
        ("--epochs", 0),
        ("--name", "../up"),
    ],
)
def test_values_out_of_range_end_with_code_2(
    option: str,
    value: object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(SystemExit) as end:
        code_of("--root", tmp_path, option, value)
    assert end.value.code == 2
    assert option.removeprefix("--") in capsys.readouterr().err


def test_trials_that_cannot_be_trained_end_with_code_2_and_their_reason(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    damaged = tmp_path / "damaged"
    shutil.copytree(shards, damaged)
    for shard in damaged.glob("train-*.tfrecord"):
        shard.write_bytes(bytes(shard.stat().st_size))
    words = ("--shards", damaged, "--root", tmp_path, "--batch-size", 20)
    assert code_of(*words) == 2
    told = capsys.readouterr().err
    assert "three trials in a row failed, the last with" in told
    assert "corrupted record" in told
    assert "start search default again" in told
