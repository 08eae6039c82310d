"""`make evaluate` from end to end, on a run and on its export."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.answering import of_run, open_answerer
from pipeline.dataset import evaluation_batches
from pipeline.evaluate import EvaluateConfig, evaluate
from pipeline.evaluate.answers import answer_slices, combine_scans
from pipeline.explain import ExplainConfig, explain, middle_slices
from pipeline.hyper import HyperParameters
from pipeline.manifest import Manifest
from pipeline.runs import load_run
from pipeline.train import TrainConfig, train
from serving.export import export, publish
from serving.gate import Rules

Shards = tuple[Path, Manifest]


@pytest.fixture(scope="module")
def run(lasting_shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = HyperParameters(filters=(4,), dense=())
    path = tmp_path_factory.mktemp("runs") / "run"
    config = TrainConfig(
        shards=lasting_shards[0], run=path, epochs=1, batch_size=8, hyper=small
    )
    train(config)
    return path


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of versions with only a first one."""
    folder = tmp_path_factory.mktemp("models") / "mri_contrast"
    export(load_run(run), folder / "1")
    return folder


@pytest.fixture(scope="module")
def evaluated(run: Path, lasting_shards: Shards) -> Path:
    data = lasting_shards[0].parent / "scans"
    evaluate(EvaluateConfig(run=run, real=data, hard_volumes=20, hard_wanted=40))
    return run


def test_every_slice_is_asked_about_once(run: Path, lasting_shards: Shards) -> None:
    folder, manifest = lasting_shards
    answerer = of_run(load_run(run))
    slices, logs = answer_slices(
        answerer, evaluation_batches(folder, "test", batch_size=3)
    )
    assert len(slices) == len(logs) == manifest.count("test")
    whole, _ = answer_slices(
        answerer, evaluation_batches(folder, "test", batch_size=1000)
    )
    np.testing.assert_allclose(slices.probabilities, whole.probabilities, atol=1e-5)
    assert Counter(slices.scans.tolist()) == Counter(whole.scans.tolist())
    np.testing.assert_allclose(slices.probabilities.sum(axis=1), 1)
    volumes = combine_scans(answerer, slices, logs)
    assert len(volumes) == sum(manifest.scans["test"].values())
    assert set(slices.planes.tolist()) == {-1}


def test_planes_of_records_are_kept_and_joined(answerer) -> None:
    batch = {
        "image": tf.fill((3, 150, 150), tf.constant(20, tf.uint8)),
        "label": tf.constant([0, 0, 1], tf.int64),
        "plane": tf.constant([2, 2, 0], tf.int64),
        **{tag: tf.constant(["a", "a", "b"]) for tag in ("scan", "subject", "source")},
    }
    slices, logs = answer_slices(answerer, [batch])
    assert slices.planes.tolist() == [2, 2, 0]
    assert combine_scans(answerer, slices, logs).planes.tolist() == [2, 0]


def test_the_result_is_finite_and_counts_everything(
    evaluated: Path, lasting_shards: Shards
) -> None:
    text = (evaluated / "evaluation.json").read_text()
    result = json.loads(text)
    json.dumps(result, allow_nan=False)
    assert result["slices"]["count"] == lasting_shards[1].count("test")
    assert np.sum(result["volumes"]["confusion"]) == result["volumes"]["count"]
    assert result["real"]["count"] == 48
    assert {row["id"] for row in result["rows"]} == {
        "real.accuracy",
        "real.other",
        "volume.ece",
        "volume.risk",
    }
    for row in result["rows"]:
        assert set(row) == {"id", "value", "reach", "ok", "detail"}
    # The split holds one person, who tells nothing about how people differ.
    assert result["slices"]["subjects"] == 1
    assert result["slices"]["accuracy_interval"] is None
    low, high = result["real"]["by_class"]["T1"]["exact"]
    assert 0 <= low <= result["real"]["by_class"]["T1"]["share"] <= high <= 1


def test_the_same_model_and_data_give_the_same_file(
    evaluated: Path, lasting_shards: Shards, tmp_path: Path
) -> None:
    evaluate(
        EvaluateConfig(
            run=evaluated,
            real=lasting_shards[0].parent / "scans",
            hard_volumes=20,
            hard_wanted=40,
            out=tmp_path,
            report=False,
        )
    )
    once = (evaluated / "evaluation.json").read_bytes()
    assert (tmp_path / "evaluation.json").read_bytes() == once
    assert not (tmp_path / "report.html").exists()


def test_the_report_needs_nothing_but_itself(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text()
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.findall(r"https?:|//\w|url\((?!#)|@import|<script|<link", text)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert all('alt="' in image for image in re.findall(r"<img[^>]*>", page))
    assert all('aria-label="' in one for one in re.findall(r"<svg[^>]*>", page))
    for words in ("Not a medical device", "unsure", "prefers-color-scheme", "viewport"):
        assert words in page
    for heading in ("Real scans", "Risk and coverage", "Worst mistakes", "trained on"):
        assert heading in page


def test_an_export_answers_as_its_run(run: Path, exported: Path) -> None:
    ours, theirs = open_answerer(run, None), open_answerer(None, exported)
    slices = np.random.default_rng(0).integers(0, 256, (5, 150, 150), dtype=np.uint8)
    np.testing.assert_allclose(
        ours.log_probabilities(slices), theirs.log_probabilities(slices), atol=1e-4
    )
    np.testing.assert_allclose(ours.heat(slices), theirs.heat(slices), atol=1e-3)
    assert ours.classes == theirs.classes
    assert theirs.rho == pytest.approx(ours.rho)
    assert theirs.accept == pytest.approx(ours.accept)
    assert (ours.kind, theirs.kind) == ("run", "export")
    assert theirs.folder.name == "1"


def test_nothing_of_a_published_model_names_a_real_scan(
    run: Path, lasting_shards: Shards, tmp_path: Path, write_nifti
) -> None:
    real, private = tmp_path / "wardnine", tmp_path / "private"
    shutil.copytree(run, private)
    lines = ["path,label,subject,source"]
    for name, label in (("anna", "T1"), ("bela", "T2"), ("cleo", "CT")):
        write_nifti(real / name / f"{name}-scan.nii.gz")
        lines.append(f"{name}/{name}-scan.nii.gz,{label},{name}-person,{name}-clinic")
    (real / "dora").mkdir()
    (real / "dora" / "dora-scan.nii.gz").write_bytes(b"no picture")
    lines.append("dora/dora-scan.nii.gz,FLAIR,dora-person,dora-clinic")
    (real / "manifest.csv").write_text("\n".join(lines) + "\n")
    settings = EvaluateConfig(run=private, real=real, orientations=True, hard_volumes=0)
    evaluate(settings)
    planted = [b"anna", b"bela", b"cleo", b"dora", b"wardnine"]
    said = (private / "evaluation.json").read_bytes()
    assert [name for name in planted if name in said], "nothing was planted"
    rules = Rules(real=real)
    version = publish(private, tmp_path / "models", rules=rules)
    model = tmp_path / "models" / "mri_contrast" / str(version)
    files = [path for path in model.rglob("*") if path.is_file()]
    card = json.loads((model / "assets.extra" / "model_card.json").read_text())
    assert card["metrics"]["real"]["by_class"]["T1"]["count"] == 1
    assert card["metrics"]["volumes"]["accuracy"] >= 0
    for path in files:
        content = path.read_bytes().lower()
        assert [name for name in planted if name in content] == [], path


def test_an_export_is_evaluated_on_named_shards(
    exported: Path,
    lasting_shards: Shards,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MRI_REAL_DATA", raising=False)
    with pytest.raises(ValueError, match="name some with --shards"):
        evaluate(EvaluateConfig(model=exported))
    config = EvaluateConfig(model=exported, shards=lasting_shards[0], hard_volumes=0)
    evaluate(config)
    out = tmp_path / "runs" / "evaluate" / "mri_contrast-1"
    result = json.loads((out / "evaluation.json").read_text())
    assert result["slices"]["count"] == lasting_shards[1].count("test")
    assert "hard" not in result
    assert "real" not in result
    assert (out / "report.html").is_file()
    assert {path.name for path in exported.iterdir()} == {"1"}


def test_both_a_run_and_a_model_are_refused(run: Path, exported: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        open_answerer(run, exported)
    with pytest.raises(FileNotFoundError, match=r"saved_model\.pb"):
        open_answerer(None, run)


def test_the_training_split_is_not_measured_on() -> None:
    with pytest.raises(ValueError, match="validation or test"):
        EvaluateConfig(split="train")


@pytest.mark.parametrize("what", ["run", "model"])
def test_a_scan_is_explained_on_one_page(
    what: str, run: Path, exported: Path, tmp_path: Path, write_nifti, capsys
) -> None:
    scan = write_nifti(tmp_path / "scan.nii.gz")
    chosen = {"run": run} if what == "run" else {"model": exported}
    out = tmp_path / "pictures" / "page.png"
    explain(ExplainConfig(scan=scan, out=out, **chosen))
    assert "pred: " in capsys.readouterr().out
    assert out.read_bytes().startswith(b"\x89PNG")


def test_slices_are_shown_from_every_plane_and_from_one_where_there_is_one() -> None:
    plane = np.arange(8, dtype=np.uint8)[:, None, None] * np.ones((8, 150, 150), "u1")
    shown, axes = middle_slices({0: plane, 1: plane, 2: plane})
    assert axes == [0, 1, 2]
    assert shown[:, 0, 0].tolist() == [4, 4, 4]
    shown, axes = middle_slices({2: plane})
    assert axes == [2, 2, 2]
    assert shown[:, 0, 0].tolist() == [1, 4, 6]
    assert middle_slices({2: plane[:1]})[1] == [2]
    assert middle_slices({0: plane, 2: plane})[1] == [0, 0, 2]
