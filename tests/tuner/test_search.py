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
from pipeline.files import locked
from pipeline.manifest import load_manifest
from pipeline.runs import load_run
from tuner.search import SearchConfig, search
from tuner.trials import learning_curve, load_trials

SMALL = ("blocks=2,3", "filters=16,32", "dense_layers=0,1", "width=32")
"""Networks that are trained in a moment."""


@pytest.fixture(scope="module")
def config(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchConfig:
    return SearchConfig(
        name="tiny",
        shards=shards,
        root=tmp_path_factory.mktemp("tune"),
        narrow=SMALL,
        trials=2,
        epochs=2,
        factor=2,
        batch_size=20,
        seed=5,
    )


@pytest.fixture(scope="module")
def interrupted(config: SearchConfig) -> int:
    """The exit code of a search that gets Ctrl+C as its first trial begins."""
    words = ["--name", config.name, "--shards", config.shards, "--root", config.root]
    words += ["--trials", "1", "--epochs", "2", "--factor", "2", "--batch-size", "20"]
    words += ["--seed", "5", "--narrow", *SMALL]
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


def test_a_search_leaves_its_page(finished: Path):
    assert "trial-0001" in (finished / "dashboard.html").read_text()


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
        ("--workers", -1),
        ("--minutes", 0),
        ("--wait-minutes", 0),
        ("--parameters", 0),
        ("--milliseconds", 0),
        ("--narrow", "kernel=7"),
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
    name = option.removeprefix("--").replace("-", "_")
    assert name in capsys.readouterr().err


def test_shards_that_are_damaged_are_named_before_any_trial(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    damaged = tmp_path / "damaged"
    shutil.copytree(shards, damaged)
    shard = next(damaged.glob("train-*.tfrecord"))
    shard.write_bytes(bytes(shard.stat().st_size))
    root = tmp_path / "tune"
    assert code_of("--shards", damaged, "--root", root, "--batch-size", 20) == 2
    told = capsys.readouterr().err
    assert f"{shard} is damaged" in told
    assert "run `make shards` again" in told
    assert not list(root.rglob("trial-*"))


def test_trials_that_cannot_be_trained_end_with_code_2_and_their_reason(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for number in range(3):  # networks that nobody would want to lose
        run = tmp_path / f"default/trial-{number:04d}"
        run.mkdir(parents=True)
        (run / "model.keras").touch()
    words = ("--shards", shards, "--root", tmp_path, "--batch-size", 20)
    assert code_of(*words, "--narrow", *SMALL) == 2
    told = capsys.readouterr().err
    assert "3 trials in a row failed, the last with" in told
    assert "holds a network and no checkpoint" in told
    assert "start search default again" in told
    found = load_trials(tmp_path / "default")
    assert [trial.status for trial in found] == ["failed"] * 3
    assert all("no checkpoint" in trial.message for trial in found)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--parameters", 100, "the smallest network of the space has"),
        ("--milliseconds", 1e-6, "ms a slice, the budget is 1e-06"),
    ],
)
def test_a_budget_that_no_network_meets_is_refused_before_any_trial(
    option: str,
    value: float,
    told: str,
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    words = ("--shards", shards, "--root", tmp_path, "--batch-size", 20)
    assert code_of(*words, option, value, "--narrow", *SMALL) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.rglob("trial-*"))


def test_trials_over_budget_are_rejected_and_others_trained_instead(
    shards: Path, tmp_path: Path
):
    config = SearchConfig(
        shards=shards,
        root=tmp_path,
        oracle="random",
        narrow=("blocks=2", "filters=16,128", "dense_layers=0", "kernel=2,5"),
        parameters=6000,
        trials=1,
        epochs=1,
        batch_size=20,
        seed=2,
    )
    assert search(config) == 0
    found = load_trials(config.folder)
    trained = [trial for trial in found if trial.status == "completed"]
    rejected = [trial for trial in found if trial.status == "rejected"]
    assert len(trained) == 1
    assert len(found) == 1 + len(rejected)
    assert rejected
    for trial in rejected:
        assert trial.parameters is not None
        assert trial.parameters > 6000
        assert trial.message == f"{trial.parameters} parameters, the budget is 6000"
        assert not (config.folder / trial.name / "metrics.jsonl").exists()
    winner = json.loads((config.folder / "winner.json").read_text())
    assert winner["trial"] == trained[0].name


def test_a_trial_tells_what_it_took_and_what_came_of_it(finished: Path):
    found = load_trials(finished)
    assert [trial.status for trial in found] == ["completed"] * 2
    for trial in found:
        curve = learning_curve(finished, trial.name)
        best = min(curve, key=lambda each: each["validation_loss"])
        assert trial.score == best["validation_loss"]
        assert trial.accuracy == best["validation_accuracy"]
        assert trial.parameters == load_run(finished / trial.name).model.count_params()
        assert trial.milliseconds is not None
        assert 0 < trial.milliseconds < 1000
        assert trial.seconds is not None
        assert trial.seconds > sum(each["seconds"] for each in curve)
        assert trial.memory_mib is not None
        assert 100 < trial.memory_mib < 8000
        assert "augmentation" in trial.values
        assert not [name for name in trial.values if "/" in name]
        assert list((finished / trial.name).glob("events.out.tfevents.*"))


def test_a_search_in_another_space_is_refused_and_nothing_lost(
    finished: Path, config: SearchConfig
):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    with pytest.raises(ValueError, match="holds a search with another space"):
        search(dataclasses.replace(config, narrow=("kernel=3",)))
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_a_worker_that_comes_after_the_end_ends_as_well(
    finished: Path, config: SearchConfig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker-7")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")  # nobody listens
    assert search(config) == 0
    assert len(load_trials(finished)) == 2


def test_a_second_search_in_a_folder_is_refused(finished: Path, config: SearchConfig):
    with (
        locked(finished / "lock", "searches it"),
        pytest.raises(BlockingIOError, match="another process searches"),
    ):
        search(config)


@pytest.mark.parametrize("name", ["KERASTUNER_ORACLE_IP", "KERASTUNER_TUNER_ID"])
def test_a_part_of_kerastuners_variables_ends_with_code_2(
    name: str,
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv(name, "worker-0")
    assert code_of("--shards", shards, "--root", tmp_path / "tune") == 2
    assert "KERASTUNER_ORACLE_PORT must be set" in capsys.readouterr().err
    assert not (tmp_path / "tune").exists()
