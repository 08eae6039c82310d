import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tyro

from pipeline.manifest import Manifest
from pipeline.model import build
from pipeline.presets import PRESETS, chosen, preset
from pipeline.runs import load_run
from pipeline.train import TrainConfig

RECONSTRUCTED = {
    "study-base": 22_439_875,
    "study-two": 2_812_419,
    "study-submitted": 2_861_379,
    "study-more": 755_971,
}
"""Parameters with the study's three channels and three classes."""


@pytest.mark.parametrize("name", RECONSTRUCTED)
def test_the_networks_of_the_study_have_its_numbers_of_parameters(name: str) -> None:
    hyper = preset(name).hyper
    count = build(hyper, channels=3, classes=3).count_params()
    assert count == RECONSTRUCTED[name]
    # Ours read one channel (2 × 3 × 3 × 32 weights fewer) and know one class more.
    fewer, more = 2 * 3 * 3 * 32, hyper.dense[-1] + 1
    assert build(hyper).count_params() == count - fewer + more


@pytest.mark.parametrize("name", RECONSTRUCTED)
def test_the_study_s_presets_carry_its_recipe(name: str) -> None:
    settings = preset(name)
    assert (settings.epochs, settings.patience) == (100, 10)
    assert (settings.steps_per_epoch, settings.validation_steps) == (90, 30)
    assert (settings.batch_size, settings.learning_rate) == (32, 1e-3)
    assert (settings.schedule, settings.weight_decay) == ("constant", 0)
    assert settings.hyper.dropout == 0.5
    assert not settings.hyper.normalise


def test_the_networks_differ_in_depth_and_dense_layers_as_the_study_s() -> None:
    depths = {
        name: (len(each.hyper.filters), each.hyper.dense)
        for name, each in PRESETS.items()
        if name.startswith("study")
    }
    assert depths == {
        "study-base": (2, (256,)),
        "study-two": (3, (512, 256)),
        "study-submitted": (4, (512, 256, 128)),
        "study-more": (5, (512, 256, 128, 64)),
    }


def test_a_network_without_normalisation_has_kernels_of_three_then_two() -> None:
    model = build(preset("study-submitted").hyper)
    kernels = [
        layer.kernel_size for layer in model.layers if layer.name.startswith("conv")
    ]
    assert kernels == [(3, 3), (2, 2), (2, 2), (2, 2)]
    assert not [layer for layer in model.layers if "normalisation" in layer.name]
    answer = model(np.zeros((2, 150, 150, 1), np.float32))
    assert {name: logits.shape for name, logits in answer.items()} == {"logits": (2, 4)}


def test_the_default_preset_is_the_training_without_options() -> None:
    assert preset("default") == TrainConfig()


def test_an_unknown_preset_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"'study'.*default.*release.*study-more"):
        chosen(["--epochs", "3", "--preset=study"])


def test_options_go_before_the_preset_s_wherever_they_stand() -> None:
    words = ["--epochs", "7", "--preset", "study-more", "--hyper.dropout", "0.25"]
    settings = tyro.cli(TrainConfig, args=words, default=chosen(words))
    assert settings.preset == "study-more"
    assert (settings.epochs, settings.hyper.dropout) == (7, 0.25)
    assert (settings.patience, settings.hyper.filters) == (10, (32, 64, 64, 64, 64))


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.train", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def test_the_command_trains_by_a_preset_and_notes_its_name(
    shards: tuple[Path, Manifest], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = command(
        *("--preset", "study-more", "--shards", shards[0], "--run", run),
        *("--epochs", 2, "--steps-per-epoch", 2, "--validation-steps", 1),
        *("--batch-size", 4, "--hyper.filters", 4, 4, 4, 4, 4, "--hyper.dense", 8),
    )
    assert done.returncode == 0, done.stderr
    settings = json.loads((run / "config.json").read_text())
    assert settings["preset"] == "study-more"
    assert settings["schedule"] == "constant"
    rates = [
        json.loads(line)["learning_rate"] for line in (run / "metrics.jsonl").open()
    ]
    assert rates == pytest.approx([1e-3, 1e-3])
    assert load_run(run).hyper["pooling"] == "flatten"


def test_the_command_lists_the_presets_where_the_name_is_wrong() -> None:
    done = command("--preset", "studie")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no preset 'studie'; there are def")
