"""Spoiling slices, and the search for the level where the model errs."""

import numpy as np
import pytest

from pipeline.dataset import evaluation_batches
from pipeline.evaluate import degrade, hard
from pipeline.evaluate.hard import Stored, collect, judge, measure


def square(brightness: int) -> np.ndarray:
    slices = np.full((8, 150, 150), brightness, np.uint8)
    slices[:, 40:110, 40:110] //= 2
    return slices


def test_level_0_changes_nothing() -> None:
    slices = np.random.default_rng(0).integers(0, 256, (3, 150, 150), dtype=np.uint8)
    np.testing.assert_array_equal(
        degrade.apply(slices, degrade.sample("scan", 0)), slices
    )
    np.testing.assert_array_equal(degrade.apply(slices, degrade.Degradation()), slices)


def test_the_same_scan_is_spoiled_alike_and_another_draw_in_another_way() -> None:
    slices = square(200)
    once = degrade.apply(slices, degrade.sample("scan", 2.0))
    again = degrade.apply(slices, degrade.sample("scan", 2.0))
    np.testing.assert_array_equal(once, again)
    assert degrade.sample("scan", 2.0, 1) != degrade.sample("scan", 2.0, 0)
    assert degrade.sample("scan", 2.0) != degrade.sample("other scan", 2.0)


def test_twice_the_level_is_twice_as_strong() -> None:
    one, two = degrade.sample("scan", 1.0), degrade.sample("scan", 2.0)
    assert two.noise == pytest.approx(2 * one.noise)
    assert two.blur == pytest.approx(2 * one.blur)
    assert two.gamma == pytest.approx(one.gamma**2)
    assert two.shrink - 1 == pytest.approx(2 * (one.shrink - 1))
    assert two.keep < one.keep


@pytest.mark.parametrize(
    ("degradation", "does"),
    [
        (degrade.Degradation(keep=0.25), lambda old, new: len(new) == 2),
        (degrade.Degradation(gamma=2.0), lambda old, new: new.mean() < old.mean()),
        (degrade.Degradation(noise=0.1), lambda old, new: new[:, :30].std() > 10),
        (degrade.Degradation(blur=4.0), lambda old, new: edge(new) < edge(old) / 2),
        (degrade.Degradation(shrink=9.0), lambda old, new: edge(new) < edge(old)),
        (
            degrade.Degradation(bias=(0.8, 0, 0, 0, 0)),
            lambda old, new: new[0, 5, 145] > 1.5 * new[0, 5, 5],
        ),
    ],
)
def test_each_degradation_does_what_its_name_says(degradation, does) -> None:
    slices = square(120)
    assert does(slices, degrade.apply(slices, degradation))


def edge(slices: np.ndarray) -> int:
    """The steepest step between neighbours."""
    return int(np.abs(np.diff(slices.astype(int), axis=2)).max())


@pytest.fixture
def scans() -> list[Stored]:
    """Of four brightnesses: right while their brightness is not changed much."""
    found = []
    for number in range(48):
        label = number % 4
        slices = np.full((8, 150, 150), 26 + 64 * label, np.uint8)
        found.append(Stored(f"scan-{number}", f"s{number // 4}", "a", label, slices))
    return found


def test_scans_are_spoiled_until_some_are_wrong(answerer, scans) -> None:
    assert judge(answerer, scans, 0, 1).right.all()
    found, answers = measure(answerer, scans, 200)
    assert found["reached"]
    assert hard.LOW <= found["accuracy"] <= hard.HIGH
    assert found["level"] > 0
    assert found["count"] == len(answers) >= 200
    assert found["draws"] * len(scans) == found["count"]
    assert found["subjects"] == 12
    assert found["trail"][0] == [0.0, 1.0]
    assert measure(answerer, scans, 200)[0] == found


def test_a_model_that_errs_at_once_is_measured_once_as_it_is(answerer, scans) -> None:
    wrong = [
        Stored(scan.name, scan.subject, scan.source, (scan.label + 1) % 4, scan.slices)
        for scan in scans[:6]
    ]
    found, _ = measure(answerer, [*scans[6:], *wrong], 200)
    assert found["level"] == 0
    assert found["count"] == len(scans)
    assert found["accuracy"] == pytest.approx(42 / 48)


def test_scans_come_with_at_most_8_slices_and_no_more_than_asked_for(
    lasting_shards,
) -> None:
    folder, manifest = lasting_shards

    def batches():
        return evaluation_batches(folder, "train", batch_size=7)

    everything = collect(batches(), 1000)
    assert len(everything) == sum(manifest.scans["train"].values())
    assert [scan.name for scan in everything] == sorted(
        scan.name for scan in everything
    )
    assert all(1 <= len(scan.slices) <= hard.SLICES for scan in everything)
    few = collect(batches(), 5)
    assert len(few) == 5
    assert {scan.name for scan in few} < {scan.name for scan in everything}
