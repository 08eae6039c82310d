"""A training that is stopped, killed or damaged ends as one that was left alone."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline import files
from pipeline.hyper import HyperParameters
from pipeline.manifest import Manifest
from pipeline.model import build
from pipeline.runs import load_run, weights_of
from pipeline.train import TrainConfig, train

Built = tuple[Path, Manifest]

KILLS = int(os.environ.get("MRI_KILLS", "2"))
"""How often `kill -9` strikes; `MRI_KILLS=20 make test` is the long version."""

SEED = int(os.environ.get("MRI_KILL_SEED") or random.randrange(2**32))
"""What their moments are drawn from; a failure names it, to be repeated with."""

SMALL = HyperParameters(filters=(4, 4), dense=(8,))


def config(shards: Path, run: Path, **changes: Any) -> TrainConfig:
    settings = {"epochs": 3, "batch_size": 1, "hyper": SMALL, **changes}
    return TrainConfig(shards=shards, run=run, **settings)


def result(run: Path) -> dict[str, Any]:
    """Everything that a training is for; how fast it was is no part of it."""
    timed = ("slices_per_second", "input_bound", "seconds")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    with np.load(run / "checkpoints" / "last.npz") as content:
        names = sorted(set(content.files) - {"about"})
        state = [content[name].tobytes() for name in names]
    return {
        "metrics": [
            {name: value for name, value in line.items() if name not in timed}
            for line in lines
        ],
        "state": state,
        "weights": [each.tobytes() for each in load_run(run).model.get_weights()],
        "calibration": (run / "calibration.json").read_bytes(),
    }


class StopAt(keras.callbacks.Callback):
    """Does as a user who presses Ctrl+C in that step of that epoch."""

    def __init__(self, epoch: int, step: int, number: signal.Signals) -> None:
        super().__init__()
        self.at, self.number, self.epoch = (epoch, step), number, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.at:
            os.kill(os.getpid(), self.number)


@pytest.fixture(scope="module")
def straight(
    lasting_shards: Built, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    run = tmp_path_factory.mktemp("straight") / "run"
    assert train(config(lasting_shards[0], run)) == 0
    return result(run)


@pytest.mark.parametrize(
    ("epoch", "step", "number"),
    [
        (1, 1, signal.SIGINT),
        (2, 13, signal.SIGTERM),
        (2, 40, signal.SIGTERM),  # the epoch's last step: before its validation
    ],
)
def test_a_stopped_training_goes_on_to_the_same_result(
    straight: dict[str, Any],
    lasting_shards: Built,
    tmp_path: Path,
    epoch: int,
    step: int,
    number: signal.Signals,
) -> None:
    settings = config(lasting_shards[0], tmp_path / "run")
    assert train(settings, [StopAt(epoch, step, number)]) == 130
    assert (settings.run / "model.keras").exists() == (epoch > 1)
    assert train(settings) == 0
    assert result(settings.run) == straight


def test_many_stops_change_nothing_either(
    straight: dict[str, Any], lasting_shards: Built, tmp_path: Path
) -> None:
    settings = config(lasting_shards[0], tmp_path / "run")
    for step in (2, 12, 33):
        assert train(settings, [StopAt(2, step, signal.SIGTERM)]) == 130
    assert train(settings) == 0
    assert result(settings.run) == straight


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    straight: dict[str, Any], lasting_shards: Built, tmp_path: Path
) -> None:
    settings = config(lasting_shards[0], tmp_path / "run")
    assert train(settings, [StopAt(3, 4, signal.SIGTERM)]) == 130
    last = settings.run / "checkpoints" / "last.npz"
    damaged = bytearray(last.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    last.write_bytes(damaged)
    assert train(settings) == 0
    assert result(settings.run) == straight


def test_kill_9_at_random_moments_changes_nothing(
    straight: dict[str, Any], lasting_shards: Built, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-m", "pipeline.train", "--shards", str(lasting_shards[0])),
        *("--epochs", "3", "--batch-size", "1"),
        *("--hyper.filters", "4", "4", "--hyper.dense", "8"),
        *("--checkpoint-seconds", "0.001"),
    ]
    draw, struck, runs = random.Random(SEED), 0, [tmp_path / "killed-0"]
    while struck < KILLS:
        process = subprocess.Popen(
            [*command, "--run", str(runs[-1])], stderr=subprocess.DEVNULL, text=True
        )
        wait_for_a_step(process, runs[-1])
        time.sleep(draw.uniform(0, 0.5))  # the moment is what is tested
        process.kill()
        if process.wait() == -signal.SIGKILL:
            struck += 1
        else:  # it had come to its end: the next kills strike another run
            runs.append(tmp_path / f"killed-{len(runs)}")
    told = f"MRI_KILL_SEED={SEED}"
    last = subprocess.run([*command, "--run", str(runs[-1])], check=False)
    assert last.returncode == 0, told
    assert [result(run) == straight for run in runs] == [True] * len(runs), told


def wait_for_a_step(process: subprocess.Popen[str], run: Path) -> None:
    """Until this process has saved a checkpoint, or ended since nothing was left."""
    last = run / "checkpoints" / "last.npz"
    before = last.stat().st_mtime_ns if last.exists() else 0
    while process.poll() is None:
        if last.exists() and last.stat().st_mtime_ns != before:
            return
        time.sleep(0.005)


def hasty(shards: Path, run: Path) -> TrainConfig:
    """Steps so long that some epoch soon is worse than the one before."""
    return config(shards, run, epochs=8, patience=1, learning_rate=1e-2)


class Weights(keras.callbacks.Callback):
    """Keeps those of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.of_epoch: list[list[np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.of_epoch.append(self.model.get_weights())


@pytest.fixture(scope="module")
def early(
    lasting_shards: Built, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, Weights]:
    """A run out of patience, its best epoch and what the network was in each."""
    run, weights = tmp_path_factory.mktemp("early") / "run", Weights()
    assert train(hasty(lasting_shards[0], run), [weights]) == 0
    losses = [line["validation_loss"] for line in result(run)["metrics"]]
    return run, 1 + int(np.argmin(losses)), weights


def test_patience_ends_a_training_that_gets_no_better(
    early: tuple[Path, int, Weights],
) -> None:
    run, best, weights = early
    epochs = [line["epoch"] for line in result(run)["metrics"]]
    assert epochs == list(range(1, best + 2))
    assert len(weights.of_epoch) == len(epochs) < 8


def test_the_network_of_the_best_epoch_is_kept_and_not_that_of_the_last(
    early: tuple[Path, int, Weights],
) -> None:
    run, best, weights = early
    kept = build(SMALL)
    kept.load_weights(weights_of(run))
    expected, last = weights.of_epoch[best - 1], weights.of_epoch[-1]
    for network in (kept, load_run(run).model):
        for one, other in zip(network.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert any(np.any(one != other) for one, other in zip(expected, last, strict=True))


def test_patience_outlives_a_stop(
    early: tuple[Path, int, Weights], lasting_shards: Built, tmp_path: Path
) -> None:
    straight, best, _ = early
    settings = hasty(lasting_shards[0], tmp_path / "run")
    for epoch, step in ((best, 40), (best + 1, 13)):
        assert train(settings, [StopAt(epoch, step, signal.SIGTERM)]) == 130
    assert train(settings) == 0
    assert result(settings.run) == result(straight)


def test_other_settings_are_refused_and_named(
    lasting_shards: Built, tmp_path: Path
) -> None:
    settings = config(lasting_shards[0], tmp_path / "run", epochs=1)
    assert train(settings) == 0
    before = result(settings.run)
    with pytest.raises(ValueError, match=r"seed 0 there, 1 here.*--restart"):
        train(config(lasting_shards[0], settings.run, epochs=1, seed=1))
    assert result(settings.run) == before


def test_a_finished_run_is_not_trained_again(
    lasting_shards: Built, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    settings = config(lasting_shards[0], tmp_path / "run", epochs=1)
    assert train(settings) == 0
    before = (settings.run / "model.keras").stat().st_mtime_ns
    assert train(settings) == 0
    assert "is finished; --restart trains it again" in caplog.text
    assert (settings.run / "model.keras").stat().st_mtime_ns == before


def test_restart_trains_from_the_first_step(
    lasting_shards: Built, tmp_path: Path
) -> None:
    settings = config(lasting_shards[0], tmp_path / "run", epochs=2)
    assert train(settings, [StopAt(2, 3, signal.SIGTERM)]) == 130
    assert train(config(lasting_shards[0], settings.run, epochs=1, restart=True)) == 0
    assert len(result(settings.run)["metrics"]) == 1


def test_a_network_without_checkpoints_is_not_replaced_unasked(
    lasting_shards: Built, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.keras").write_bytes(b"precious")
    with pytest.raises(ValueError, match="no checkpoint to go on from"):
        train(config(lasting_shards[0], run))
    assert (run / "model.keras").read_bytes() == b"precious"


def test_a_second_training_in_a_run_is_refused(
    lasting_shards: Built, tmp_path: Path
) -> None:
    settings = config(lasting_shards[0], tmp_path / "run", epochs=1)
    with (
        files.locked(settings.run / "lock", "trains it"),
        pytest.raises(BlockingIOError, match=r"another process trains .*run"),
    ):
        train(settings)
    assert train(settings) == 0


def test_a_kill_while_a_restart_clears_the_run_leaves_nothing_that_goes_on(
    lasting_shards: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(lasting_shards[0], tmp_path / "run", epochs=1)
    assert train(settings) == 0
    before = result(settings.run)
    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.parent == settings.run:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            train(dataclasses.replace(settings, restart=True))
    # The network is still there, so that nothing replaces it unasked.
    with pytest.raises(ValueError, match="no checkpoint to go on from"):
        train(settings)
    assert train(dataclasses.replace(settings, restart=True)) == 0
    assert result(settings.run) == before


def test_a_resumed_epoch_without_a_step_left_has_no_speed(
    lasting_shards: Built, tmp_path: Path
) -> None:
    settings = config(lasting_shards[0], tmp_path / "run", epochs=1)
    assert train(settings, [StopAt(1, 40, signal.SIGTERM)]) == 130
    assert train(settings) == 0
    record = json.loads((settings.run / "metrics.jsonl").read_text())
    assert "slices_per_second" not in record
    assert 0 < record["learning_rate"] < 2e-3


def test_a_stop_while_the_run_is_finished_is_passed_on(
    straight: dict[str, Any], lasting_shards: Built, tmp_path: Path
) -> None:
    class StopAtEnd(keras.callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    settings = config(lasting_shards[0], tmp_path / "run")
    assert train(settings, [StopAtEnd()]) == 130
    assert result(settings.run) == straight
    assert train(settings) == 0
