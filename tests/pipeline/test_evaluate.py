"""What evaluation says of verdicts and of folders of real scans."""

import json
from pathlib import Path

import pytest

from mri_contrast.verdict import UNSURE, Verdict
from pipeline.evaluate import (
    EvaluateConfig,
    Judged,
    evaluate,
    judge_files,
    volume_metrics,
)
from pipeline.manifest import Manifest
from pipeline.model import HyperParameters
from pipeline.runs import load_run
from pipeline.train import TrainConfig, train

CLASSES = ("T1", "T2", "FLAIR", "other")


def verdict(likeliest: str, contrast: str | None = None) -> Verdict:
    shares = {name: 0.7 if name == likeliest else 0.1 for name in CLASSES}
    return Verdict(contrast or likeliest, 0.7, shares)


def test_metrics_of_verdicts_worked_by_hand() -> None:
    judged = Judged(
        truth=["T1", "T1", "T2", "FLAIR", "other"],
        said=[
            verdict("T1"),
            verdict("T1", UNSURE),
            verdict("T2"),
            verdict("T2"),
            verdict("FLAIR", UNSURE),
        ],
        sources=["a", "a", "b", "b", "b"],
    )
    result = volume_metrics(judged, CLASSES)
    assert result["accuracy"] == pytest.approx(3 / 5)
    assert result["mean_accuracy"] == pytest.approx((1 + 1 + 0) / 3)
    assert result["mean_verdict_accuracy"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert result["coverage"] == pytest.approx(3 / 5)
    assert result["accepted_accuracy"] == pytest.approx(2 / 3)
    assert result["confusion"] == [
        [1, 0, 0, 0, 1],
        [0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 1],
    ]
    assert result["sources"] == {"a": [2, 2], "b": [1, 3]}


def test_without_any_accepted_class_the_mean_is_none_not_nan() -> None:
    result = volume_metrics(Judged(["other"], [verdict("other")], ["a"]), CLASSES)
    assert result["mean_accuracy"] is None
    json.dumps(result, allow_nan=False)


@pytest.fixture
def run(shards: tuple[Path, Manifest], tmp_path: Path) -> Path:
    small = HyperParameters(filters=(4,), dense=())
    path = tmp_path / "run"
    train(TrainConfig(shards=shards[0], run=path, epochs=1, batch_size=8, hyper=small))
    return path


def test_real_scans_are_measured_and_unreadable_ones_counted(
    run: Path, class_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (class_folders / "T1" / "broken_99_1.png").write_bytes(b"no picture")
    judged, refused = judge_files(class_folders, load_run(run))
    assert len(judged.truth) == 48
    assert refused == 1
    monkeypatch.setenv("MRI_REAL_DATA", str(class_folders))
    evaluate(EvaluateConfig(run=run))
    result = json.loads((run / "evaluation.json").read_text())
    assert result["real"]["count"] == 48
    assert result["real"]["refused"] == 1


def test_a_folder_without_a_readable_scan_is_refused(run: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "T1" / "scan.png"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="none of the 1 scans"):
        judge_files(tmp_path / "broken", load_run(run))


def test_the_training_split_is_not_measured_on() -> None:
    with pytest.raises(ValueError, match="validation or test"):
        EvaluateConfig(split="train")
