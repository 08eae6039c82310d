"""What a machine offers to a training; the GPU's part is decided by pure functions."""

import json

import pytest
import tensorflow as tf

from pipeline.devices import best_precision, open_devices


def test_one_cpu_trains_alone_in_float32_without_xla() -> None:
    devices = open_devices()
    assert (devices.replicas, devices.workers, devices.chief) == (1, 1, True)
    assert (devices.precision, devices.xla) == ("float32", False)
    assert [(share.index, share.count) for share in devices.shares()] == [(0, 1)]


@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="this machine has a GPU"
)
def test_a_gpu_that_is_asked_for_and_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"finds no GPU.*--device cpu"):
        open_devices("gpu")


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ([], "float32"),
        ([(6, 1)], "float32"),
        ([(7, 5)], "mixed_float16"),
        ([(9, 0), (8, 0)], "mixed_bfloat16"),
        ([(9, 0), (7, 0)], "mixed_float16"),
    ],
)
def test_precision_follows_the_oldest_gpu(
    capabilities: list[tuple[int, int]], precision: str
) -> None:
    assert best_precision(capabilities) == precision


@pytest.mark.parametrize(
    "text",
    [
        "{not json",
        "[1]",
        json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 2}}),
        json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": "x"}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"index": 3}}),
        json.dumps({"cluster": {"chief": ["a:1"], "worker": ["b:1"]}}),
        json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "ps"}}),
    ],
)
def test_a_tf_config_that_makes_no_sense_is_quoted(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"TF_CONFIG is .* it must be like"):
        open_devices()


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["a:1"]}}'])
def test_a_tf_config_of_one_worker_is_none(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert open_devices().workers == 1
