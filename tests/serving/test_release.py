"""Releasing a published version, and what answers before anyone has trained."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mri_contrast import Client
from pipeline import scoring
from pipeline.answering import of_export, open_answerer
from pipeline.released import RELEASED, newest_version
from serving import release
from serving.inspecting import CARD, size_of
from serving.integrity import reseal, seal
from serving.registry import NAME, Registry, RegistryError
from serving.release import LIMIT, ReleaseConfig, ReleaseRefusedError

ROOT = Path(__file__).parents[2]


def change_card(model: Path, **changes: object) -> None:
    card = json.loads((model / CARD).read_text())
    (model / CARD).write_text(json.dumps({**card, **changes}))
    reseal(model, CARD)


@pytest.fixture
def published(saved_model: Path, tmp_path: Path) -> Path:
    """A registry with version 1, whose card tells what a training would have noted."""
    root = tmp_path / "models"
    model = Path(shutil.copytree(saved_model, root / NAME / "1"))
    training = json.loads((model / CARD).read_text())["training"]
    noted = {"hours": 1.5, "machines": [{"cores": 2}], "data": {"config": {}}}
    change_card(model, training={**training, **noted})
    return root


def config(published: Path, version: int = 1) -> ReleaseConfig:
    return ReleaseConfig(version, published, published.parent / "released")


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_released_version_is_the_published_one_with_its_number(published, slices):
    placed = release.release(config(published))
    assert placed == published.parent / "released" / NAME / "1"
    assert files(placed) == files(published / NAME / "1")
    assert files(placed.parent.parent) == {f"{NAME}/1/{name}" for name in files(placed)}
    told = json.loads((placed / CARD).read_text())
    assert told["version"] == 1
    assert told["training"]["hours"] == 1.5
    assert size_of(placed) <= LIMIT
    loaded = tf.saved_model.load(str(placed)).signatures["slices_v1"]
    assert loaded(slices=tf.constant(slices))["T1"].shape == (5,)


def test_a_second_release_takes_the_place_of_the_first(published):
    release.release(config(published))
    placed = release.release(config(published))
    assert placed.name == "2"
    assert [path.name for path in placed.parent.iterdir()] == ["2"]
    assert newest_version(placed.parent) == placed


def test_a_version_that_is_too_large_is_refused_and_nothing_changes(published, capsys):
    release.release(config(published))
    before = files(published.parent / "released")
    (published / NAME / "1" / "variables" / "more").write_bytes(bytes(LIMIT))
    seal(published / NAME / "1")
    assert release.main(config(published)) == 3
    assert "variables/more 3000000" in capsys.readouterr().err
    assert files(published.parent / "released") == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metrics": None}, "was not evaluated .* `make evaluate`"),
        ({"training": {"hours": 2.0, "data": {"a": 1}}}, "does not tell machines"),
        ({"training": {}}, "does not tell hours and machines and data"),
    ],
)
def test_a_card_that_says_too_little_is_refused(published, changes, reason):
    change_card(published / NAME / "1", **changes)
    with pytest.raises(ReleaseRefusedError, match=reason):
        release.release(config(published))
    assert files(published.parent / "released") == set()


def test_a_version_that_is_not_published_is_named(published):
    with pytest.raises(RegistryError, match=r"no version 9; published: \[1\]"):
        release.release(config(published, version=9))
    assert Registry(published).versions() == [1]


def test_the_released_model_says_what_the_run_says(saved_model, run, slices):
    model = of_export(saved_model)
    logits = scoring.forward_pass(run.model)(slices).numpy()
    expected = scoring.verdict_of(logits, run.classes, run.calibration)
    verdict = model.verdict(model.log_probabilities(slices))
    assert model.name == "mri_contrast version 1"
    assert list(verdict.probabilities) == list(run.classes)
    assert verdict.contrast == expected.contrast
    np.testing.assert_allclose(
        list(verdict.probabilities.values()),
        list(expected.probabilities.values()),
        atol=1e-5,
    )


def test_a_damaged_released_model_says_what_to_do(saved_model, tmp_path):
    broken = Path(shutil.copytree(saved_model, tmp_path / "1"))
    (broken / "saved_model.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="check it out again"):
        of_export(broken)


@pytest.mark.parametrize("left", [None, "empty", ".preparing-1-ab"])
def test_a_folder_without_a_model_holds_no_released_one(tmp_path, left):
    if left is not None:
        (tmp_path / "released" / left).mkdir(parents=True)
    assert newest_version(tmp_path / "released") is None


@pytest.fixture
def checkout(saved_model: Path, tmp_path: Path) -> Path:
    """A fresh clone with a released model, where nothing was trained or published."""
    clone = tmp_path / "clone"
    no_model = shutil.ignore_patterns("__pycache__", "released", "client")
    for name in ("pipeline", "serving"):
        shutil.copytree(ROOT / name, clone / name, ignore=no_model)
    shutil.copy(ROOT / "Makefile", clone)
    shutil.copytree(saved_model, clone / "serving" / "released" / NAME / "1")
    return clone


def make(checkout: Path, *words: str, **settings: object) -> subprocess.Popen[str]:
    client = ROOT / "serving" / "client"
    # A `make` within `make test` would follow that one's flags and tell its folders.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.Popen(
        ["make", *words, f"PYTHON={sys.executable}"],
        cwd=checkout,
        env={**inherited, "PYTHONPATH": str(client), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    noise = np.random.default_rng(1).integers(0, 255, (60, 60), np.uint8)
    Image.fromarray(noise).save(tmp_path / "upload.png")
    return tmp_path / "upload.png"


def test_make_predict_answers_in_a_fresh_clone_and_says_who_did(checkout, picture):
    said, errors = make(checkout, "predict", f"SCAN={picture}").communicate(timeout=120)
    assert said.startswith("pred: "), errors
    assert "by the released model, version 1 (no run of yours yet)" in said


def test_make_explain_and_evaluate_take_the_released_model_too(checkout, picture):
    said, errors = make(checkout, "explain", f"SCAN={picture}").communicate(timeout=120)
    assert said.startswith("pred: "), errors
    assert "no run of yours yet: the released model answers" in errors
    assert (checkout / "explain.png").is_file()
    real = picture.parent / "real" / "T1"
    real.mkdir(parents=True)
    shutil.copy(picture, real / "a.png")
    options = f"ARGS=--real {real.parent} --no-report"
    _, errors = make(checkout, "evaluate", options).communicate(timeout=120)
    result = checkout / "runs" / "evaluate" / f"{NAME}-1" / "evaluation.json"
    assert result.is_file(), errors
    told = json.loads(result.read_text())
    assert told["model"]["name"] == "mri_contrast version 1"
    assert told["real"]["count"] == 1


def test_a_run_that_cannot_be_used_does_not_give_way_to_the_released_model(
    saved_model, tmp_path, monkeypatch
):
    unfinished = tmp_path / "runs" / "train" / "mine"
    unfinished.mkdir(parents=True)
    (unfinished / "model.keras").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"mine holds no config\.json"):
        open_answerer(None, None, saved_model.parent)
    with pytest.raises(FileNotFoundError, match="none holds no"):
        open_answerer(Path("none"), None, saved_model.parent)
    shutil.rmtree(unfinished)
    assert open_answerer(None, None, saved_model.parent).kind == "export"


def test_make_predict_without_run_and_released_model_says_what_to_do(checkout, picture):
    shutil.rmtree(checkout / "serving" / "released")
    _, errors = make(checkout, "predict", f"SCAN={picture}").communicate(timeout=120)
    assert "make train" in errors


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_make_serve_serves_the_released_model_where_nothing_is_published(
    checkout, picture
):
    port = free_port()
    flags = f"ARGS=--port {port} --rest_api_port 0 --enable_model_warmup=false"
    process = make(checkout, "serve", flags, start_new_session=True)
    try:
        with Client(f"127.0.0.1:{port}") as client:
            client.wait_until_ready(timeout=200)
            assert client.identify(picture).model_version == 1
    finally:
        os.killpg(process.pid, 15)
        said = process.communicate(timeout=60)[0]
    (line,) = said.splitlines()
    assert line.startswith("nothing is published: serving the released model, serving/")


def test_make_serve_prefers_what_was_published(checkout):
    (checkout / "models").mkdir()
    (checkout / "models" / "models.config").write_text("model_config_list {}")
    said, errors = make(checkout, "serve").communicate(timeout=120)
    assert "released" not in said
    assert "models/models.config lists no model" in errors


needs_released = pytest.mark.skipif(
    newest_version() is None, reason=f"no model is released yet: {RELEASED} is missing"
)


@needs_released
def test_the_released_folder_holds_one_small_model_and_nothing_else():
    path = newest_version()
    assert path is not None
    assert [child.name for child in RELEASED.iterdir()] == [path.name]
    assert [child.name for child in RELEASED.parent.iterdir()] == [NAME]
    assert size_of(RELEASED.parent) <= LIMIT


@needs_released
def test_the_card_of_the_released_model_is_complete():
    path = newest_version()
    assert path is not None
    card = json.loads((path / CARD).read_text())
    told = ("metrics", "data_manifest_sha256", "hyper_parameters", "licence")
    more = ("intended_use", "warning", "source_revision", "libraries", "calibration")
    for name in (*told, *more):
        assert card[name], name
    for name in ("command", "hours", "machines", "data"):
        assert card["training"][name], name
    assert None not in card["training"]["seeds"].values()
    assert card["version"] == int(path.name)
    assert "+changes" not in card["source_revision"]
    assert "ot a medical device" in card["warning"]
    assert os.uname().nodename not in json.dumps(card)


@needs_released
def test_the_released_model_answers():
    path = newest_version()
    assert path is not None
    blank = np.zeros((3, 150, 150), np.uint8)
    answerer = of_export(path)
    shares = answerer.verdict(answerer.log_probabilities(blank)).probabilities
    assert sum(shares.values()) == pytest.approx(1)
