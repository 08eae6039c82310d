"""From winner.json over a kill -9 to a verdict, a preset and a published version."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.contrasts import ACCEPTED
from pipeline.evaluate import EvaluateConfig, evaluate
from pipeline.found import settings_of
from pipeline.hyper import HyperParameters
from pipeline.judged import REAL, SLICES
from pipeline.manifest import load_manifest
from pipeline.presets import preset
from pipeline.train import TrainConfig
from serving.gate import Rules
from serving.registry import Registry
from tests.pictures import write_pictures
from tuner.comparing import markdown
from tuner.publish import PublishConfig, publish_winner
from tuner.retrain import retrain
from tuner.sides import RetrainConfig
from tuner.winner import FILE, Winner

ROOT = Path(__file__).parents[2]
SEEDS = (0, 1)

# Six trainings, each in a process that loads TensorFlow.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans of each class, as somebody's own."""
    return write_pictures(tmp_path_factory.mktemp("real"), 2 * ACCEPTED)


@pytest.fixture(scope="module")
def config(
    shards: Path, real: Path, tmp_path_factory: pytest.TempPathFactory
) -> RetrainConfig:
    """Of a search that was made on the shards and found a small network."""
    root = tmp_path_factory.mktemp("tune")
    training = TrainConfig(
        shards=shards,
        epochs=1,
        batch_size=20,
        hyper=HyperParameters(filters=(4, 4), dense=(8,)),
    )
    winner = Winner(
        "trial-0001", "validation_loss", 0.5, training, load_manifest(shards).sha256
    )
    winner.save(root / "tiny" / FILE)
    return RetrainConfig(
        name="tiny", root=root, seeds=SEEDS, real=real, models=root / "models"
    )


def written(config: RetrainConfig) -> dict[str, int]:
    """When each network was written."""
    files = config.runs.glob("*/model.keras")
    return {path.parent.name: path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="module")
def killed(config: RetrainConfig) -> dict[str, int]:
    """What was finished when the command was killed in its second training."""
    words = ["--name", config.name, "--root", config.root, "--real", config.real]
    words += ["--models", config.models, "--seeds", *SEEDS]
    with subprocess.Popen(
        [sys.executable, "-m", "tuner.retrain", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if "training default, seed 0" in line:
                process.kill()
        process.wait()
    assert process.returncode == -9, "".join(told)
    return written(config)


@pytest.fixture(scope="module")
def result(config: RetrainConfig, killed: dict[str, int]) -> dict:
    """What the same command leaves when it is started again."""
    retrain(config)
    return json.loads((config.folder / "retrained.json").read_text())


def test_a_kill_loses_nothing_that_is_finished(
    config: RetrainConfig, killed: dict[str, int], result: dict
) -> None:
    assert list(killed) == ["tiny-winner-0"]
    after = written(config)
    assert after["tiny-winner-0"] == killed["tiny-winner-0"]
    names = {f"{name}-{seed}" for name in ("tiny-winner", "default") for seed in SEEDS}
    assert set(after) == names


def test_both_are_trained_with_the_same_seeds_shards_and_budget(
    config: RetrainConfig, shards: Path, result: dict
) -> None:
    for seed in SEEDS:
        mine, other = (
            json.loads((config.runs / f"{name}-{seed}" / "config.json").read_text())
            for name in ("tiny-winner", "default")
        )
        for name in ("seed", "shards", "epochs", "patience", "manifest_sha256"):
            assert mine[name] == other[name], name
        assert mine["seed"] == seed
        assert mine["hyper"]["filters"] == [4, 4]
        assert other["hyper"] == settings_of(preset("default"))["hyper"]


def test_all_and_the_stable_model_are_judged_on_the_same_slices_and_scans(
    config: RetrainConfig, shards: Path, result: dict
) -> None:
    names = [network["name"] for network in result["networks"]]
    # Nothing is published here, so the released model is the stable one.
    assert names == ["tiny-winner", "default", "stable: mri_contrast version 1"]
    count = load_manifest(shards).count("test")
    for network in result["networks"]:
        assert network[SLICES]["count"] == count
        assert network[REAL]["count"] == 6
        low, high = network[REAL]["wrong"]["interval"]
        assert low <= network[REAL]["wrong"]["mean"] <= high
    compared = [pair["name"] for pair in result["comparisons"]]
    assert compared == names[1:]
    assert any("was trained on other shards" in note for note in result["notes"])


def test_the_best_is_that_of_the_least_validation_loss(result: dict) -> None:
    runs = result["networks"][0]["runs"]
    losses = {run["run"]: run["validation_loss"] for run in runs}
    assert len(losses) == len(SEEDS)
    assert result["best"] == min(losses, key=lambda run: losses[run])


def test_the_winner_is_a_preset_with_its_evidence(
    config: RetrainConfig, result: dict
) -> None:
    path = config.folder / "preset.json"
    assert (
        settings_of(preset(str(path))) == result["identity"]["settings"]["tiny-winner"]
    )
    evidence = json.loads(path.read_text())["evidence"]
    assert evidence["comparisons"] == result["comparisons"]
    assert evidence["trial"] == "trial-0001"


def test_started_again_it_trains_and_judges_nothing_and_shows_the_table(
    config: RetrainConfig, result: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config.folder / "retrained.json"
    before = written(config), file.stat().st_mtime_ns
    retrain(config)
    assert (written(config), file.stat().st_mtime_ns) == before
    assert markdown(result) in capsys.readouterr().out


def test_settings_that_changed_are_refused_and_nothing_is_lost(
    config: RetrainConfig, result: dict
) -> None:
    path = config.folder / FILE
    kept = path.read_text()
    winner = Winner.load(path)
    changed = dataclasses.replace(winner.training, learning_rate=0.005)
    before = written(config)
    try:
        dataclasses.replace(winner, training=changed).save(path)
        with pytest.raises(ValueError, match=r"-winner\.json is of another settings"):
            retrain(config)
        with pytest.raises(ValueError, match="has found another winner since"):
            publish_winner(PublishConfig("tiny", config.root, config.models))
    finally:
        path.write_text(kept)
    assert written(config) == before


def test_other_shards_than_the_search_s_are_refused(
    config: RetrainConfig, tmp_path: Path
) -> None:
    winner = Winner.load(config.folder / FILE)
    dataclasses.replace(winner, manifest_sha256="ab" * 32).save(
        tmp_path / "other" / FILE
    )
    with pytest.raises(ValueError, match=r"not abababababab\); .* --shards"):
        retrain(dataclasses.replace(config, name="other", root=tmp_path))
    assert not (tmp_path / "other" / "retrained").exists()


@pytest.mark.parametrize("seeds", [(), (-1,), (0, 1, 0)])
def test_seeds_that_are_none_are_refused(seeds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="seeds must be one number or more"):
        RetrainConfig(seeds=seeds)


def test_one_command_publishes_the_best_run_once(
    config: RetrainConfig,
    result: dict,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    best = Path(result["best"])
    evaluate(EvaluateConfig(run=best, hard_volumes=0, report=False))
    publishing = PublishConfig(
        "tiny",
        config.root,
        config.models,
        False,
        Rules(config.real, allow_unmeasured=True),
    )
    kept = (config.folder / "retrained.json").read_text()
    told = json.loads(kept)
    try:  # so few slices tell nothing: whatever chance said, it is no worse
        told["comparisons"][0]["verdict"] = "equal"
        (config.folder / "retrained.json").write_text(json.dumps(told))
        assert publish_winner(publishing) == 0
        assert publish_winner(publishing) == 0
        registry = Registry(config.models)
        assert registry.versions() == [1]
        card = registry.folder / "1" / "assets.extra" / "model_card.json"
        content = json.loads(card.read_text())
        assert content["run"] == best.name
        assert content["training"]["settings"]["preset"] == "tiny-winner.json"
        assert str(config.root) not in json.dumps(content)
        monkeypatch.setenv("PATH", "")  # no builder
        monkeypatch.chdir(config.root)
        assert publish_winner(dataclasses.replace(publishing, image=True)) == 2
        assert "version 1 is published, but has no image yet" in capsys.readouterr().err
        told["comparisons"][0]["verdict"] = "worse"
        (config.folder / "retrained.json").write_text(json.dumps(told))
        assert publish_winner(publishing) == 3
        assert f"make publish RUN={best} publishes" in capsys.readouterr().err
    finally:
        (config.folder / "retrained.json").write_text(kept)
