"""What a run notes of how it was made, over stops and machines."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from pipeline.hyper import HyperParameters
from pipeline.machine import machine
from pipeline.manifest import Manifest
from pipeline.provenance import MACHINES, command_line, made_with, note_machine
from pipeline.train import TrainConfig, train

SMALL = HyperParameters(filters=(4, 4), dense=(8,))


class SlowThenStopped(keras.callbacks.Callback):
    """Takes half a second longer in the first epoch and is stopped there."""

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if batch == 2:
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGTERM)


def test_hours_before_a_stop_count(
    shards: tuple[Path, Manifest], tmp_path: Path
) -> None:
    settings = TrainConfig(
        shards=shards[0], run=tmp_path / "run", epochs=2, batch_size=8, hyper=SMALL
    )
    began = time.perf_counter()
    assert train(settings, [SlowThenStopped()]) == 130
    assert train(settings) == 0
    wall = time.perf_counter() - began
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    seconds = [json.loads(line)["seconds"] for line in lines]
    assert len(seconds) == 2
    assert seconds[0] > 0.5
    assert sum(seconds) < wall
    told = made_with(tmp_path / "run")
    assert told["hours"] == round(sum(seconds) / 3600, 3)
    assert told["epochs"] == 2
    assert told["seeds"] == {"training": 0, "data": shards[1].config["seed"]}
    assert told["data"]["scans"] == shards[1].scans
    assert told["data"]["config"] == shards[1].config
    assert told["settings"]["batch_size"] == 8
    assert told["command"] is None  # no command of ours: the tests called it
    (here,) = told["machines"]
    assert {**machine(), "accelerators": here["accelerators"]} == here


def test_the_command_is_noted_as_it_was_typed(
    shards: tuple[Path, Manifest], tmp_path: Path
) -> None:
    typed = ["--shards", str(shards[0]), "--run", "my run", "--epochs", "1"]
    small = ["--hyper.filters", "4", "--batch-size", "8"]
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-m", "pipeline.train", *typed, *small],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"},
        check=True,
        capture_output=True,
    )
    command = made_with(tmp_path / "my run")["command"]
    assert command.startswith("python -m pipeline.train --shards ")
    assert "--run 'my run' --epochs 1" in command


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("train --shards '/home/me/my scans' --epochs 1", "--shards 'my scans'"),
        ("train --shards=../ward/set --run 'a b/c d'", "--shards=set --run 'c d'"),
        ("train --shards /me/a=b/c --run=/x=y/z", "--shards c --run=z"),
        ("train --risk=0.02 --hyper.filters 4 8", "--risk=0.02 --hyper.filters 4 8"),
    ],
)
def test_the_command_is_told_without_folders(
    tmp_path: Path, typed: str, told: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"command": typed}))
    command = made_with(tmp_path)["command"]
    assert told in command
    assert "/" not in command


def test_a_program_that_is_none_of_ours_is_no_command() -> None:
    assert command_line() is None


def test_every_machine_is_noted_once(tmp_path: Path) -> None:
    note_machine(tmp_path)
    note_machine(tmp_path)
    (here,) = json.loads((tmp_path / MACHINES).read_text())
    elsewhere = {**here, "cores": here["cores"] + 1}
    (tmp_path / MACHINES).write_text(json.dumps([elsewhere]))
    note_machine(tmp_path)
    assert json.loads((tmp_path / MACHINES).read_text()) == [elsewhere, here]


def test_a_machine_is_described_without_its_name() -> None:
    described = json.dumps(machine())
    assert os.uname().nodename not in described
    assert machine()["cores"] >= 1
    assert machine()["memory_gib"] > 0


@pytest.mark.parametrize("lines", ["", '{"epoch": 1}\n'])
def test_hours_that_nobody_noted_are_none(tmp_path: Path, lines: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(lines)
    assert made_with(tmp_path)["hours"] is None
