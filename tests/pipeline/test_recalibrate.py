import json
from pathlib import Path

import pytest

from pipeline.hyper import HyperParameters
from pipeline.manifest import Manifest
from pipeline.recalibrate import RecalibrateConfig, recalibrate
from pipeline.runs import load_run
from pipeline.train import TrainConfig, train


@pytest.fixture
def own(shards: tuple[Path, Manifest], tmp_path: Path) -> Path:
    """A small run."""
    run = tmp_path / "run"
    hyper = HyperParameters(filters=(4, 8))
    train(TrainConfig(shards=shards[0], run=run, epochs=1, batch_size=8, hyper=hyper))
    return run


def test_another_risk_changes_what_is_accepted_and_nothing_else(own: Path) -> None:
    before = load_run(own).calibration
    (own / "evaluation.json").write_text("{}")
    for risk in (0.4, 0.01):
        recalibrate(RecalibrateConfig(own, risk))
        assert json.loads((own / "config.json").read_text())["risk"] == risk
    after = load_run(own).calibration
    assert after.temperature == pytest.approx(before.temperature)
    assert after.rho == pytest.approx(before.rho)
    recalibrate(RecalibrateConfig(own, 0.9))
    assert load_run(own).calibration.accept <= after.accept
    assert not (own / "evaluation.json").exists()  # it was of the old calibration


def test_a_senseless_risk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="risk must be above 0 and below 1, got 1"):
        RecalibrateConfig(tmp_path, 1)
