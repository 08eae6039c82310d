"""Training as a user starts it: a process with shards, a run folder and signals."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.dataset import training_batches
from pipeline.evaluate import EvaluateConfig, evaluate
from pipeline.hyper import HyperParameters
from pipeline.manifest import Manifest
from pipeline.predict import PredictConfig, predict
from pipeline.runs import load_run, newest_run
from pipeline.train import TrainConfig, train

SMALL = HyperParameters(filters=(4, 4), dense=(8,))


def config(shards: Path, run: Path, **changes: object) -> TrainConfig:
    settings = {"epochs": 2, "batch_size": 8, "hyper": SMALL, **changes}
    return TrainConfig(shards=shards, run=run, **settings)


@pytest.fixture
def run(shards: tuple[Path, Manifest], tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "train" / "small"
    assert train(config(shards[0], path)) == 0
    return path


def test_a_run_holds_all_that_later_programs_need(
    capsys: pytest.CaptureFixture[str],
    shards: tuple[Path, Manifest],
    run: Path,
) -> None:
    loaded = load_run(run)
    assert loaded.classes == ("T1", "T2", "FLAIR", "other")
    assert loaded.manifest_sha256 == shards[1].sha256
    assert loaded.shards == shards[0]
    assert loaded.hyper["filters"] == [4, 4]
    assert "convolution_0" in (run / "summary.txt").read_text()
    assert "convolution_0" in capsys.readouterr().out
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert [record["epoch"] for record in epochs] == [1, 2]
    assert all(0 <= record["input_bound"] <= 1 for record in epochs)
    assert all(record["slices_per_second"] > 0 for record in epochs)
    assert list((run / "tensorboard").iterdir())
    assert newest_run(run.parent) == run

    evaluate(EvaluateConfig(run=run, hard_wanted=40))
    printed = capsys.readouterr().out
    result = json.loads((run / "evaluation.json").read_text())
    assert re.search(r"loss \d\.\d+  accuracy \d\.\d+", printed)
    assert result["slices"]["count"] == shards[1].count("test")
    assert np.sum(result["volumes"]["confusion"]) == result["volumes"]["count"]


def test_a_scan_is_predicted_without_a_server(
    run: Path, class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = class_folders / "T1" / "T1_0_1.png"
    capsys.readouterr()
    predict(PredictConfig(scan=scan, run=run))
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"pred: (T1|T2|FLAIR|other|unsure)", lines[0])
    shares = [float(line.split()[1]) for line in lines[1:5]]
    assert sum(shares) == pytest.approx(1, abs=1e-3)


def test_the_same_seed_trains_the_same_network(
    shards: tuple[Path, Manifest], tmp_path: Path
) -> None:
    losses = []
    for name in ("first", "again"):
        train(config(shards[0], tmp_path / name, epochs=1))
        record = json.loads((tmp_path / name / "metrics.jsonl").read_text())
        losses.append((record["loss"], record["validation_loss"]))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_best_network_and_says_where(
    number: signal.Signals, shards: tuple[Path, Manifest], tmp_path: Path
) -> None:
    run = tmp_path / "stopped"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline.train", "--shards", shards[0]),
            *("--run", run, "--epochs", "100000", "--batch-size", "8"),
            *("--patience", "100000", "--hyper.filters", "4", "4"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("epoch 2:"):
            process.send_signal(number)
            break
    seen += process.stderr.read().splitlines(keepends=True)
    assert process.wait(60) == 130, "".join(seen)
    assert f"kept in {run}" in "".join(seen)
    assert load_run(run).classes[0] == "T1"


def test_a_stop_before_anything_was_learnt_keeps_nothing_and_says_so(
    shards: tuple[Path, Manifest], tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline.train", "--shards", shards[0]),
            *("--run", tmp_path / "run", "--batch-size", "8"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline()  # the summary: the loop is about to start
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert not (tmp_path / "run" / "model.keras").exists()
    assert b"Traceback" not in errors


def test_a_setting_that_cannot_work_leaves_a_finished_run_alone(
    shards: tuple[Path, Manifest], run: Path
) -> None:
    before = sorted(path.name for path in run.iterdir())
    with pytest.raises(ValueError, match="batch_size"):
        train(config(shards[0], run, batch_size=10**6))
    assert sorted(path.name for path in run.iterdir()) == before
    assert load_run(run).hyper["filters"] == [4, 4]


def test_training_again_forgets_what_was_measured_before(
    shards: tuple[Path, Manifest], run: Path
) -> None:
    evaluate(EvaluateConfig(run=run, hard_wanted=40))
    train(config(shards[0], run, seed=5, epochs=1, restart=True))
    assert load_run(run).metrics == {}


def test_a_loss_that_is_no_number_ends_the_training_with_its_batch_saved(
    shards: tuple[Path, Manifest], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(
        ValueError, match=r"step \d+ of epoch \d.*lower --learning-rate"
    ):
        train(config(shards[0], run, learning_rate=1e30, epochs=5))
    with np.load(run / "broken-batch-0.npz") as saved:
        epoch, step = int(saved["epoch"]), int(saved["step"])
        batches = training_batches(
            shards[0], batch_size=8, seed=0, first_epoch=epoch - 1, first_step=step - 1
        )
        batch = next(batches.as_numpy_iterator())
        np.testing.assert_array_equal(saved["image"], batch["image"])
        np.testing.assert_array_equal(saved["label"], batch["label"])


def test_tensorboard_shows_scalars_the_graph_and_augmented_slices(run: Path) -> None:
    (path,) = (run / "tensorboard").iterdir()
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    values = [(event.step, value) for event in events for value in event.summary.value]
    scalars = [value.tag for step, value in values if step == 2]
    assert {"loss", "validation_loss", "input_bound", "slices_per_second"} <= {*scalars}
    graph = next(event.graph_def for event in events if event.graph_def)
    assert b"convolution_0" in graph
    (picture,) = (value for _, value in values if value.tag == "augmentation")
    width, height, *slices = picture.tensor.string_val
    assert (int(width), int(height), len(slices)) == (300, 150, 16)
    pixels = tf.io.decode_png(slices[0]).numpy()
    assert pixels[:, :150].std() > 10
    assert not np.array_equal(pixels[:, :150], pixels[:, 150:])


def test_a_flipped_byte_in_a_shard_is_named_damage(
    shards: tuple[Path, Manifest], tmp_path: Path
) -> None:
    shard = shards[0] / shards[1].of_split("train")[0].file
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged.*make shards"):
        train(config(shards[0], tmp_path / "run"))


def test_training_on_missing_shards_says_what_to_do(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.train", "--shards", tmp_path / "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.strip().startswith("error:")
    assert "make shards" in result.stderr


@pytest.mark.parametrize("name", ["epochs", "patience", "batch_size", "learning_rate"])
def test_a_senseless_setting_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        TrainConfig(**{name: 0})


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_a_rate_that_is_no_number_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        TrainConfig(**{name: value})


@pytest.mark.parametrize("name", ["calibration.json", "config.json", "model.keras"])
def test_a_damaged_run_is_named(run: Path, name: str) -> None:
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="damaged"):
        load_run(run)


def test_an_unfinished_run_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make train"):
        load_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="make demo"):
        newest_run(tmp_path)
