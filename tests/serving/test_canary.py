"""`canary` beside `stable`: verdicts, times, and whether to promote."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mri_contrast import Answer
from serving import canary
from serving.canary import CanaryConfig
from serving.registry import Registry
from serving.shadow import Pair, against_promotion, compare


def answer(contrast: str, version: int) -> Answer:
    return Answer(contrast, 0.9, {contrast: 0.9}, 24, version)


def pair(stable: str, other: str | None, ratio: float = 1.0) -> Pair:
    told = None if other is None else answer(other, 2)
    return Pair(answer(stable, 1), told, 0.1, 0.1 * ratio)


def test_the_same_verdicts_speak_for_promotion():
    found = compare([pair("T1", "T1")] * 40)
    assert (found.agreed, found.answered, found.versions) == (40, 40, ([1], [2]))
    assert found.interval == pytest.approx((0.9119, 1), abs=1e-4)
    assert against_promotion(found, 0.9, 2) == []


def test_a_few_scans_do_not_suffice_though_all_agree():
    found = compare([pair("T1", "T1")] * 10)
    (reason,) = against_promotion(found, 0.9, 2)
    assert "10 of 10 verdicts agree (exact 95 % interval 69.2% to 100.0%)" in reason
    assert "ask about more scans" in reason


def test_other_verdicts_speak_against_and_are_counted_apart():
    pairs = [pair("T1", "T1")] * 90 + [pair("T1", "FLAIR")] * 8 + [pair("T2", "unsure")]
    found = compare(pairs)
    assert found.confusion == {
        ("T1", "T1"): 90,
        ("T1", "FLAIR"): 8,
        ("T2", "unsure"): 1,
    }
    assert len(against_promotion(found, 0.9, 2)) == 1
    assert against_promotion(found, 0.8, 2) == []


def test_longer_times_speak_against_beyond_noise():
    slow = compare([pair("T1", "T1", 3.0)] * 40)
    (reason,) = against_promotion(slow, 0.9, 2)
    assert "3.00 times as long" in reason
    noisy = [pair("T1", "T1", ratio) for ratio in np.linspace(1, 4, 40)]
    assert against_promotion(compare(noisy), 0.9, 2) == []


def test_a_failure_of_canary_alone_speaks_against():
    found = compare([pair("T1", "T1")] * 40 + [pair("T1", None)])
    assert against_promotion(found, 0.9, 2) == [
        "canary failed 1 times where stable answered"
    ]
    assert against_promotion(compare([]), 0.9, 2) == ["no scan was answered by both"]


def test_figures_of_two_versions_in_turn_speak_against_promoting_either():
    moved = Pair(answer("T1", 1), answer("T1", 3), 0.1, 0.1)
    (reason,) = against_promotion(compare([pair("T1", "T1")] * 39 + [moved]), 0.9, 2)
    assert reason.startswith("canary was versions 2, 3 in turn")


@pytest.fixture
def uploads(tmp_path: Path) -> tuple[Path, ...]:
    """Forty pictures."""
    paths = []
    for number in range(40):
        noise = np.random.default_rng(number).integers(0, 255, (60, 60), np.uint8)
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(noise).save(paths[-1])
    return tuple(paths)


def test_a_share_of_the_scans_goes_to_canary_too(root: Path, uploads, capsys):
    asked = CanaryConfig(uploads, root=root, share=1.0, max_ratio=1000)
    assert canary.canary(asked) == 0
    said = capsys.readouterr().out
    assert "40 scans to stable (version 1), 40 of them to canary as well" in said
    assert "verdicts that agree: 40 of 40" in said
    assert said.endswith("promote it: make promote VERSION=2\n")


def test_a_few_scans_end_with_code_3(root: Path, serving, uploads, capsys):
    target = serving.target
    asked = CanaryConfig(uploads, server=target, share=0.25, max_ratio=1000)
    assert canary.canary(asked) == 3
    said = capsys.readouterr()
    assert "10 of them to canary as well (version 2)" in said.out
    assert "do not promote: 10 of 10 verdicts agree" in said.err


def test_without_a_canary_it_says_what_to_do(root: Path, tmp_path: Path, uploads):
    models = tmp_path / "models"
    shutil.copytree(root, models)
    (models / "labels.json").write_text('{"mri_contrast": {"stable": 1}}')
    assert Registry(models).labels() == {"stable": 1}
    with pytest.raises(ValueError, match=r"promote --label canary --version"):
        canary.canary(CanaryConfig(uploads, root=models))


@pytest.mark.parametrize(
    "wrong", [{"share": 0}, {"share": 1.1}, {"agreement": 2}, {"max_ratio": 0}]
)
def test_settings_out_of_their_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be"):
        CanaryConfig(**wrong)
