"""Training on several devices and several hosts, with processes on this one."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.manifest import Manifest
from pipeline.runs import load_run

Built = tuple[Path, Manifest]

ROOT = Path(__file__).parents[2]
LOGICAL = str(Path(__file__).with_name("logical_devices.py"))
SETTINGS = ("--epochs=4", "--batch-size=8", "--hyper.filters", "4", "4")


def start(
    shards: Path, run: Path, *more: str, devices: int = 1, tf_config: str = ""
) -> subprocess.Popen[str]:
    program = (LOGICAL, str(devices)) if devices > 1 else ("-m", "pipeline.train")
    folders = ("--shards", str(shards), "--run", str(run))
    return subprocess.Popen(
        [sys.executable, *program, *folders, *SETTINGS, *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": tf_config},
    )


def start_hosts(shards: Path, run: Path, *more: str) -> list[subprocess.Popen[str]]:
    return [start(shards, run, *more, tf_config=config) for config in tf_configs()]


def tf_configs() -> list[str]:
    """Of two hosts on this one."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        for index in range(2)
    ]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def finish(processes: Sequence[subprocess.Popen[str]], code: int = 0) -> str:
    errors = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), (
        errors
    )
    return "".join(errors)


def result(run: Path) -> list[Any]:
    timed = ("slices_per_second", "input_bound", "seconds")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    metrics = [
        {name: value for name, value in line.items() if name not in timed}
        for line in lines
    ]
    weights = [each.tobytes() for each in load_run(run).model.get_weights()]
    return [metrics, weights]


@pytest.fixture(scope="module")
def two_devices(
    lasting_shards: Built, tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    """What two devices of one host make of it."""
    run = tmp_path_factory.mktemp("devices") / "run"
    finish([start(lasting_shards[0], run, devices=2)])
    return result(run)


def test_two_hosts_train_exactly_as_two_devices_of_one(
    two_devices: list[Any], lasting_shards: Built, tmp_path: Path
) -> None:
    errors = finish(start_hosts(lasting_shards[0], tmp_path / "run"))
    assert "2 CPU on 2 hosts, this is 1, float32" in errors
    assert result(tmp_path / "run") == two_devices


def test_the_loss_of_two_devices_is_that_of_one_up_to_chance(
    two_devices: list[Any], lasting_shards: Built, tmp_path: Path
) -> None:
    finish([start(lasting_shards[0], tmp_path / "one")])
    two, one = (
        np.array([line["loss"] for line in metrics])
        for metrics in (two_devices[0], result(tmp_path / "one")[0])
    )
    # Other slices stand together in a batch, and 40 are few.
    np.testing.assert_allclose(two, one, rtol=0.15)


def test_a_signal_to_one_host_stops_all_and_they_go_on_together(
    two_devices: list[Any], lasting_shards: Built, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    chief, other = start_hosts(lasting_shards[0], run)
    assert other.stderr is not None
    for line in other.stderr:
        if line.startswith("epoch 1:"):
            other.send_signal(signal.SIGTERM)
            break
    finish([chief, other], 130)
    assert len((run / "metrics.jsonl").read_text().splitlines()) < 4
    finish(start_hosts(lasting_shards[0], run))
    assert result(run) == two_devices


def test_hosts_that_would_not_do_the_same_are_refused(
    lasting_shards: Built, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    hosts = [
        start(lasting_shards[0], run, f"--seed={index}", tf_config=config)
        for index, config in enumerate(tf_configs())
    ]
    errors = finish(hosts, 2)
    assert errors.count("the hosts differ in settings, shards or in where") == 2
    assert not (run / "config.json").exists()


def test_a_host_whose_other_is_killed_says_what_to_do(
    lasting_shards: Built, tmp_path: Path
) -> None:
    run, long = tmp_path / "run", ("--epochs=100000", "--patience=100000")
    chief, other = start_hosts(lasting_shards[0], run, *long)
    assert other.stderr is not None
    for line in other.stderr:
        if line.startswith("epoch 1:"):
            other.kill()
            break
    other.communicate(timeout=60)
    errors = finish([chief], 2)
    assert "another of the 2 hosts is gone" in errors.splitlines()[-1]
    assert (run / "checkpoints" / "last.npz").is_file()


def test_an_overflow_on_one_host_is_a_step_left_out_on_both() -> None:
    hosts = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("overflowing_host.py"))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": config},
        )
        for config in tf_configs()
    ]
    scales = [host.communicate(timeout=120)[0].split() for host in hosts]
    assert len(scales[0]) == 4
    assert scales[0] == scales[1]
    assert float(scales[0][-1]) < 2.0**18


@pytest.fixture(scope="module")
def one_step() -> dict[str, Any]:
    """A step of two devices with half a batch each, and what it must give."""
    step = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("two_device_step.py"))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": ""},
    )
    assert step.returncode == 0, step.stderr
    return json.loads(step.stdout)


def test_two_devices_step_down_the_gradient_of_the_joined_batch(
    one_step: dict[str, Any],
) -> None:
    assert one_step["loss"] == pytest.approx(one_step["expected_loss"], rel=1e-5)
    for replicas, expected in zip(
        one_step["weights"], one_step["expected_weights"], strict=True
    ):
        assert len(replicas) == 2
        assert replicas[0] == replicas[1]
        np.testing.assert_allclose(replicas[0], expected, rtol=1e-5, atol=1e-6)


def test_moving_statistics_are_the_mean_of_what_each_device_saw(
    one_step: dict[str, Any],
) -> None:
    halves = np.array(one_step["statistics_of_halves"])
    assert np.all(halves[0] != halves[1])
    statistics = np.array(one_step["statistics"])[..., 0]
    assert statistics.shape == (2, 2)  # mean and variance, on each device
    np.testing.assert_array_equal(statistics[:, 0], statistics[:, 1])
    np.testing.assert_allclose(statistics[:, 0], halves.mean(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("devices", "more", "reason"),
    [
        (3, (), "8 cannot be shared by 3 devices"),
        (8, (), "8 devices cannot share 4 training shards"),
        (2, ("--xla=on",), "XLA compiles for one CPU device a process"),
        (2, ("--accumulate=3",), "4 slices a device cannot be cut into 3 equal pieces"),
    ],
)
def test_what_devices_cannot_share_ends_with_one_line_and_code_2(
    devices: int,
    more: tuple[str, ...],
    reason: str,
    lasting_shards: Built,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    errors = finish([start(lasting_shards[0], run, *more, devices=devices)], 2)
    assert reason in errors.splitlines()[-1]
    assert not run.exists()
