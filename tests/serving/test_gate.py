"""What the gate says of a version beside the stable one."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.contrasts import CLASSES
from pipeline.judged import REAL, SCANS, SLICES, Judged
from serving import gate
from serving.export import export
from serving.gate import budget, comparison
from serving.gate.interface import incompatible, interface_of
from serving.inspecting import card_of
from serving.paired import Ratio, ratio_of
from serving.registry import Registry
from tests.pictures import write_pictures

SUBJECTS, EACH = 40, 20


def said(wrong: float, confidence: float, seed: int = 0) -> Judged:
    """Slices of which a share is wrong, at one probability."""
    random = np.random.default_rng(seed)
    count = SUBJECTS * EACH
    return Judged(
        wrong=random.random(count) < wrong,
        loss=np.zeros(count),
        subjects=np.repeat(np.arange(SUBJECTS), EACH).astype(str),
        confidence=np.clip(random.normal(confidence, 0.01, count), 0, 1),
        accepted=np.ones(count, bool),
    )


def test_less_accurate_beyond_noise_is_refused_with_the_numbers():
    evidence, (reason,) = comparison.compare_judged(
        said(0.15, 0.9), said(0.05, 0.9, seed=1), SLICES
    )
    assert "less accurate than stable beyond noise" in reason
    assert f"of {SUBJECTS} subjects" in reason
    low, high = evidence["wrong_interval"]
    assert 0 < low < evidence["wrong_difference"] < high
    assert f"{low:+.2%} to {high:+.2%}" in reason


def test_a_difference_within_noise_is_none():
    evidence, reasons = comparison.compare_judged(
        said(0.10, 0.9), said(0.10, 0.9, seed=1), SLICES
    )
    assert reasons == []
    low, high = evidence["wrong_interval"]
    assert low < 0 < high
    low, high = evidence["calibration_interval"]
    assert low < 0 < high


def test_worse_calibrated_beyond_noise_is_refused():
    new = said(0.10, 0.99)
    stable = dataclasses.replace(new, confidence=said(0.10, 0.90).confidence)
    evidence, (reason,) = comparison.compare_judged(new, stable, REAL)
    assert "worse calibrated than stable beyond noise" in reason
    assert evidence["wrong_difference"] == 0
    low, high = evidence["calibration_interval"]
    assert 0 < low < evidence["calibration_difference"] < high < 0.1
    better, reasons = comparison.compare_judged(stable, new, REAL)
    assert reasons == []
    assert better["calibration_difference"] < 0


def test_the_same_answers_differ_in_nothing():
    evidence, reasons = comparison.compare_judged(said(0.1, 0.9), said(0.1, 0.9), REAL)
    assert reasons == []
    assert evidence["wrong_interval"] == [0, 0]
    assert evidence["calibration_interval"] == [0, 0]


def test_a_few_subjects_tell_nothing():
    new, stable = said(1, 0.9), said(0, 0.9)
    few = np.array(["a", "b"]).repeat(SUBJECTS * EACH // 2)
    evidence, reasons = comparison.compare_judged(
        dataclasses.replace(new, subjects=few),
        dataclasses.replace(stable, subjects=few),
        SLICES,
    )
    assert reasons == []
    told = "not compared: 2 subjects tell nothing, 6 are needed"
    assert evidence == {"stable": told}


def test_being_sure_of_wrong_classes_more_often_is_refused():
    stable = said(0.2, 0.9)
    careful = dataclasses.replace(stable, accepted=~stable.wrong)
    evidence, (reason,) = comparison.compare_judged(stable, careful, SCANS)
    assert reason.startswith("sure of a wrong class more often beyond noise")
    assert evidence["misled_difference"] == pytest.approx(stable.wrong.mean())
    assert evidence["wrong_difference"] == 0


def test_being_unsure_of_all_is_refused():
    stable = said(0.05, 0.9)
    silent = dataclasses.replace(stable, accepted=np.zeros_like(stable.wrong))
    evidence, (reason,) = comparison.compare_judged(silent, stable, REAL)
    assert reason.startswith("unsure more often beyond noise")
    assert evidence["unsure_interval"] == [1, 1]
    assert comparison.compare_judged(silent, stable, SLICES)[1] == []


def test_times_are_compared_pair_by_pair():
    random = np.random.default_rng(0)
    load = random.uniform(1, 10, 25)  # of the machine, which hits both alike
    ratio = ratio_of(3 * load * random.uniform(0.95, 1.05, 25), load)
    assert ratio.low < 3 < ratio.high
    assert ratio.low > 2.8
    assert ratio.high < 3.2
    assert budget.too_slow(ratio, 3.5) == []
    (reason,) = budget.too_slow(ratio, 2)
    assert "25 pairs), allowed is 2 (--max-ratio)" in reason


def test_too_few_pairs_of_times_refuse_nothing():
    assert ratio_of([9, 9, 9], [1, 1, 1]) == Ratio(9, 0, float("inf"), 3)
    assert budget.too_slow(ratio_of([9, 9, 9], [1, 1, 1]), 2) == []


OLD = {
    "slices_v1": {
        "inputs": {"slices": "uint8 [?,150,150]"},
        "outputs": {"T1": "float32 [?]", "aux_plane": "float32 [?]"},
    },
    "explain": {
        "inputs": {"slices": "uint8 [?,150,150]"},
        "outputs": {"heat": "float32 [?,?,?]"},
    },
}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"slices_v1": OLD["slices_v1"]}, "signature explain is missing"),
        (
            {**OLD, "explain": {**OLD["explain"], "outputs": {}}},
            "output heat of explain is missing",
        ),
        (
            {**OLD, "explain": {**OLD["explain"], "outputs": {"heat": "int8 [?]"}}},
            "output heat of explain is int8 [?], of stable float32 [?,?,?]",
        ),
        (
            {**OLD, "explain": {**OLD["explain"], "inputs": {"slices": "uint8 [?]"}}},
            "explain takes slices uint8 [?], stable takes slices uint8 [?,150,150]",
        ),
    ],
)
def test_what_callers_would_miss_is_told(changed, told):
    assert incompatible(changed, OLD) == [told]


def test_more_signatures_and_outputs_are_compatible():
    more = {**OLD, "new": OLD["explain"]}
    assert incompatible(more, OLD) == []
    assert incompatible(OLD, OLD) == []


def test_the_interface_is_read_from_the_model(saved_model):
    found = interface_of(saved_model)
    assert found["slices_v1"]["inputs"] == {"slices": "uint8 [?,150,150]"}
    assert set(CLASSES) <= set(found["slices_v1"]["outputs"])
    assert found["classify"]["outputs"]["scores"].startswith("float32 [?")


def test_what_was_decided_is_in_the_card(root: Path):
    told = card_of(root / "mri_contrast" / "1")["gate"]
    assert told["decision"] == "accepted"
    assert told["real"] == told["test_split"] == "not measured"
    assert told["warm_up_requests"] == 30
    assert told["stable"] is None
    published = Registry(root).history()[0]
    assert published["gate"] == told


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of each class, of eight people."""
    return write_pictures(tmp_path_factory.mktemp("real"), 2 * CLASSES)


def test_what_cannot_be_measured_is_refused_and_told(root: Path, run, monkeypatch):
    monkeypatch.delenv("MRI_REAL_DATA", raising=False)
    versions = root / "mri_contrast"
    with pytest.raises(gate.GateRefusedError) as refusal:
        gate.decide(versions / "2", run, versions / "1")
    told = str(refusal.value)
    assert "test_split: not measured" in told
    assert "real: not measured (MRI_REAL_DATA names no folder" in told
    assert "--allow-unmeasured" in told
    assert refusal.value.evidence == {
        "reasons": ["test_split: not measured", "real: not measured"],
        "decision": "refused",
    }


def test_real_scans_that_cannot_be_read_measure_nothing(
    root: Path, run, tmp_path: Path
):
    broken = write_pictures(tmp_path, 2 * CLASSES)
    for picture in broken.rglob("*.png"):
        picture.write_bytes(b"no picture")
    rules = gate.Rules(real=broken)
    with pytest.raises(gate.GateRefusedError, match="MRI_REAL_DATA names gives slices"):
        gate.decide(root / "mri_contrast/2", run, root / "mri_contrast/1", rules)


def test_real_scans_of_a_few_people_are_no_measurement(root: Path, run, tmp_path: Path):
    rules = gate.Rules(real=write_pictures(tmp_path, CLASSES))
    with pytest.raises(gate.GateRefusedError, match="4 subjects tell nothing, 6 are"):
        gate.decide(root / "mri_contrast/2", run, root / "mri_contrast/1", rules)


def test_another_threshold_than_the_runs_is_refused(root: Path, run):
    calibration = dataclasses.replace(run.calibration, accept=0.123)
    other = dataclasses.replace(run, calibration=calibration)
    with pytest.raises(gate.GateRefusedError, match=r"aux_accept of .* differs"):
        gate.check(root / "mri_contrast/2", other)


def test_a_copy_of_stable_is_as_good_as_it(root: Path, run, real: Path):
    versions = root / "mri_contrast"
    rules = gate.Rules(real=real, allow_unmeasured=True, max_ratio=1000)
    told = gate.decide(versions / "2", run, versions / "1", rules)
    assert (told["decision"], told["reasons"], told["stable"]) == ("accepted", [], 1)
    assert told["real"]["count"] == told["real"]["subjects"] == 8
    assert told["real"]["wrong_interval"] == [0, 0]
    assert told["real"]["calibration_interval"] == [0, 0]
    assert told["test_split"] == "not measured"
    assert told["budget"]["pairs"] == budget.PAIRS


def test_less_than_stable_gives_is_refused_unless_it_is_meant(
    root: Path, headless_run, tmp_path: Path
):
    export(headless_run, tmp_path / "model")
    stable = root / "mri_contrast" / "1"
    rules = gate.Rules(allow_unmeasured=True, max_bytes=1000, max_ratio=1000)
    with pytest.raises(gate.GateRefusedError) as refusal:
        gate.decide(tmp_path / "model", headless_run, stable, rules)
    told = str(refusal.value)
    assert "output aux_plane of slices_v1 is missing" in told
    assert "allowed are 1000 (--max-bytes)" in told
    assert refusal.value.evidence["decision"] == "refused"
    assert refusal.value.evidence["budget"]["max_bytes"] == 1000
    meant = dataclasses.replace(rules, override="heads are not needed any more")
    evidence = gate.decide(tmp_path / "model", headless_run, stable, meant)
    assert evidence["decision"] == "overridden"
    assert evidence["why"] == "heads are not needed any more"
    assert "; ".join(evidence["reasons"]) == told
