"""Real files: verdicts counted one by one, labels as written, the 24 turns."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mri_contrast.scans import Scan
from mri_contrast.slices import cut
from mri_contrast.verdict import UNSURE, Verdict
from pipeline.evaluate.intervals import exact
from pipeline.evaluate.orientations import TURNS, turned
from pipeline.evaluate.real import Judged, judge_files, summary
from pipeline.evaluate.rows import rows
from pipeline.labelled import FileScan

CLASSES = ("T1", "T2", "FLAIR", "other")


def refused(truth: str) -> Judged:
    scan = FileScan(f"{truth}-broken.nii", truth, "s", "b", None, Path("/nowhere"))
    return Judged(scan, truth, None)


def judged(truth: str, likeliest: str, *, sure: bool = True, label: str = "") -> Judged:
    shares = {name: 0.7 if name == likeliest else 0.1 for name in CLASSES}
    scan = FileScan(f"{truth}.nii.gz", truth, "s", "a", None, Path("/nowhere"))
    verdict = Verdict(likeliest if sure else UNSURE, 0.7, shares)
    return Judged(scan, label or truth, verdict)


@pytest.fixture
def five() -> list[Judged]:
    return [
        judged("T1", "T1"),
        judged("T1", "T1", sure=False, label="T1c"),
        judged("T2", "T2"),
        judged("FLAIR", "T2"),
        judged("other", "FLAIR", sure=False, label="CT"),
    ]


def test_verdicts_counted_by_hand(five) -> None:
    result = summary(five, CLASSES)
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
    assert result["by_label"]["T1c"]["right"] == 0
    assert result["by_class"]["T1"] == {
        "right": 1,
        "count": 2,
        "share": 0.5,
        "exact": exact(1, 2),
        "refused": 0,
    }
    assert result["out_of_class"]["right"] == 1
    assert [one["scan"] for one in result["mistakes"]] == [
        "T1.nii.gz",
        "FLAIR.nii.gz",
        "other.nii.gz",
    ]


def test_the_goals_are_read_off_the_verdicts(five) -> None:
    named = {row["id"]: row for row in rows({"real": summary(five, CLASSES)})}
    assert named["real.accuracy"]["value"] == 0.5
    assert not named["real.accuracy"]["ok"]
    assert "T1 1/2" in named["real.accuracy"]["detail"]
    assert named["real.other"]["value"] == 1
    assert named["real.other"]["ok"]
    for name in ("volume.ece", "volume.risk"):
        assert named[name]["value"] is None
        assert not named[name]["ok"]
        assert named[name]["detail"].startswith("not measured: ")


def test_a_refused_brain_is_not_right_and_a_refused_ct_does_not_count(five) -> None:
    result = summary([*five, refused("T2"), refused("other")], CLASSES)
    assert result["mean_verdict_accuracy"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert result["mean_accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert (result["count"], result["refused"]) == (5, 2)
    t2 = result["by_class"]["T2"]
    assert (t2["right"], t2["count"], t2["refused"]) == (1, 2, 1)
    assert result["by_class"]["other"]["count"] == 1
    assert result["by_source"]["b"]["count"] == 1
    assert result["out_of_class"]["count"] == 1
    assert np.sum(result["confusion"]) == 5
    named = {row["id"]: row for row in rows({"real": result})}
    assert "T2 1/2 (0.013-0.987), 1 refused" in named["real.accuracy"]["detail"]
    assert "that gave slices" in named["real.other"]["detail"]


def test_real_accuracy_needs_every_class() -> None:
    result = summary([judged("T1", "T1"), judged("T2", "T2")], CLASSES)
    row = next(row for row in rows({"real": result}) if row["id"] == "real.accuracy")
    assert row["value"] == 1
    assert not row["ok"]
    assert row["detail"].endswith("no FLAIR among the real scans")
    whole = summary([judged(name, name) for name in CLASSES], CLASSES)
    assert rows({"real": whole})[0]["ok"]


def test_without_any_accepted_class_the_mean_is_none_not_nan() -> None:
    result = summary([judged("other", "other")], CLASSES)
    assert result["mean_verdict_accuracy"] is None
    json.dumps(result, allow_nan=False)
    named = {row["id"]: row for row in rows({"real": result})}
    assert named["real.accuracy"]["value"] is None


def test_the_24_turns_are_all_proper_and_differ() -> None:
    corner = np.arange(24).reshape(2, 3, 4)
    found = set()
    for axes, signs in TURNS:
        matrix = np.eye(3)[list(axes)] * np.array(signs)[:, None]
        assert round(np.linalg.det(matrix)) == 1
        scan = turned(Scan(corner, (1.0, 2.0, 3.0)), (axes, signs))
        assert scan.spacing == tuple((1.0, 2.0, 3.0)[axis] for axis in axes)
        assert scan.voxels.shape == tuple((2, 3, 4)[axis] for axis in axes)
        found.add((scan.voxels.shape, scan.voxels.tobytes()))
    assert len(found) == 24
    first = turned(Scan(corner, (1.0, 2.0, 3.0)), TURNS[0])
    np.testing.assert_array_equal(first.voxels, corner)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three NIfTI files and a broken one, with their list."""
    y, x, z = np.meshgrid(*(np.linspace(-1, 1, 24),) * 3, indexing="ij")
    head = np.where(x**2 + y**2 + (1.3 * z) ** 2 < 0.8, 100 + 50 * (x > 0.2), 3)
    lines = ["path,label,subject,source"]
    for name, label in (("a", "T1c"), ("b", "T2"), ("c", "CT"), ("broken", "T1")):
        image = nibabel.Nifti1Image(head.astype(np.float32), np.eye(4))
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
        lines.append(f"{name}.nii.gz,{label},{name},somewhere")
    (tmp_path / "broken.nii.gz").write_bytes(b"no picture")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_files_are_read_cut_and_turned(folder: Path, answerer) -> None:
    found = judge_files(folder, answerer, orientations=True)
    assert [one.scan.name[0] for one in found] == ["a", "b", "b", "c"]
    assert [one.label for one in found] == ["T1c", "T2", "T1", "CT"]
    readable = [one for one in found if one.verdict is not None]
    result = summary(found, CLASSES)
    assert (result["count"], result["refused"]) == (3, 1)
    assert result["refused_scans"] == ["broken.nii.gz"]
    assert result["orientations"]["cases"] == 3 * 23
    # Brightness does not change with the orientation.
    assert result["orientations"]["share"] == 1
    scan = readable[0].scan.read()
    expected = answerer.verdict(answerer.log_probabilities(cut(scan)))
    assert readable[0].verdict == expected


def test_turned_verdicts_that_change_are_counted(answerer, five) -> None:
    one = Judged(five[0].scan, "T1", five[0].verdict, ("T1",) * 22 + (UNSURE,))
    found = summary([one], CLASSES)["orientations"]
    assert (found["ways"], found["kept"], found["cases"]) == (23, 22, 23)
    assert found["scans"]["right"] == 0
    assert found["changed"] == {"T1.nii.gz": {"T1": 22, UNSURE: 1}}


def test_the_ways_to_turn_one_scan_stand_and_fall_together(five) -> None:
    kept = Judged(five[0].scan, "T1", five[0].verdict, ("T1",) * 23)
    lost = Judged(five[0].scan, "T1", five[0].verdict, (UNSURE,) * 23)
    found = summary([kept] * 15 + [lost] * 5, CLASSES)["orientations"]
    assert found["share"] == 0.75
    assert found["scans"]["exact"] == exact(15, 20)
    low, high = found["interval"]
    # 20 scans, not 460 cases: 1.96 standard errors each way.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 20), rel=0.15)


def test_a_folder_without_a_readable_scan_is_refused(tmp_path: Path, answerer) -> None:
    broken = tmp_path / "broken" / "T1" / "scan.png"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="none of the 1 scans"):
        judge_files(tmp_path / "broken", answerer)
