"""The command as a user starts it: killed, started again, asked for other settings."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.results import Row
from pipeline.experiments.__main__ import ExperimentsConfig, experiments
from pipeline.experiments.apart import subjects_of
from pipeline.experiments.measured import Measured
from pipeline.manifest import Manifest
from pipeline.provenance import made_with
from pipeline.shards import ShardsConfig, build
from pipeline.sources import find_scans

Built = tuple[Path, Manifest]

pytestmark = pytest.mark.timeout(900)  # each training starts a process

ROWS = ("study-submitted", "ours")


def others(shards: Path) -> Path:
    """Shards of as many scans of people of other names, all for the test."""
    scans, out = shards.parent / "others", shards.parent / "others-shards"
    for path in (shards.parent / "scans").glob("*/*.png"):
        contrast, subject, number = path.name.split("_")
        other = scans / "test" / contrast / f"{contrast}_{int(subject) + 50}_{number}"
        other.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, other)
    build(find_scans(scans), ShardsConfig(out=out, data=scans, workers=1))
    return out


def start(shards: Path, root: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline.experiments", "--shards", str(shards)),
            *("--test", str(others(shards)), "--root", str(root), "--epochs", "2"),
            *("--scale", "0.02", *words),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def config(shards: Path, root: Path, **changes: Any) -> ExperimentsConfig:
    """Of the same experiments, in this process."""
    same = {"epochs": 2, "scale": 0.02, "seeds": (0,), "only": ROWS, **changes}
    return ExperimentsConfig(test=others(shards), shards=shards, root=root, **same)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def table(root: Path) -> dict[str, Any]:
    """All but how fast it was."""
    content = json.loads((root / "experiments.json").read_text())
    for row in content["rows"]:
        del row["ms_per_step"]
    return content


def finish(process: subprocess.Popen[str]) -> str:
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return printed


@pytest.fixture(scope="module")
def straight(
    lasting_shards: Built, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("straight")
    words = ("--only", *ROWS, "--seeds", "0")
    return root, finish(start(lasting_shards[0], root, *words))


def test_the_table_holds_the_rows_their_intervals_and_the_paired_tests(
    straight: tuple[Path, str], lasting_shards: Built
) -> None:
    root, printed = straight
    content = table(root)
    assert {row["name"] for row in content["rows"]} == set(ROWS)
    for row in content["rows"]:
        assert row["slices"] == [128]
        low, high = row["error_interval"]
        assert low <= row["error"] <= high
        assert ("against_submitted" in row) == (row["name"] != "study-submitted")
    assert content["test_slices"] == lasting_shards[1].count("train") + 8
    error = content["study.error"]
    assert (error["reach"], error["ok"]) == ("≤ 0.33", False)  # too few slices
    assert set(error) == {field.name for field in dataclasses.fields(Row)}
    assert f"{content['test_slices']} test slices (20000 needed)" in error["detail"]
    assert "not sealed; 1 seeds (3 needed): 0" in error["detail"]
    assert printed == (root / "experiments.md").read_text() + "\n"
    assert "test_a_signal_leaves_the_best_network" in printed


def test_a_run_notes_the_command_that_was_typed(straight: tuple[Path, str]) -> None:
    command = made_with(straight[0] / "ours-0")["command"]
    assert command.startswith("python -m pipeline.experiments --shards ")
    assert command.endswith("--only study-submitted ours --seeds 0")


def test_killed_and_stopped_experiments_go_on_to_the_same_table(
    straight: tuple[Path, str], lasting_shards: Built, tmp_path: Path
) -> None:
    words = ("--only", *ROWS, "--seeds", "0")
    killed = start(lasting_shards[0], tmp_path, *words)
    wait_for(tmp_path / "study-submitted-0" / "checkpoints" / "last.npz", killed)
    killed.kill()  # -9: nothing of it can say goodbye
    killed.communicate()
    stopped = start(lasting_shards[0], tmp_path, *words)
    wait_for(tmp_path / "ours-0" / "checkpoints" / "last.npz", stopped)
    stopped.send_signal(signal.SIGINT)
    stopped.communicate()
    assert stopped.returncode == 130
    finish(start(lasting_shards[0], tmp_path, *words))
    assert table(tmp_path) == table(straight[0])


def test_what_is_stored_is_neither_trained_nor_measured_again(
    straight: tuple[Path, str],
    lasting_shards: Built,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, printed = straight
    stored = {path: path.stat().st_mtime_ns for path in root.glob("*.npz")}
    assert len(stored) == 2
    assert experiments(config(lasting_shards[0], root, only=ROWS[1:])) == 0
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime_ns for path in root.glob("*.npz")} == stored


def test_asked_for_one_seed_the_table_still_shows_all_that_are_stored(
    straight: tuple[Path, str], lasting_shards: Built, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for seed in (0, 4):  # what is measured with a seed is stored under it
        for name in ROWS:
            stored = Measured.load(straight[0] / f"{name}-0.test.npz")
            settings = stored.settings | {"seed": seed}
            again = dataclasses.replace(stored, settings=settings)
            again.save(root / f"{name}-{seed}.test.npz")
    for seeds in ((0,), (4,)):
        assert experiments(config(lasting_shards[0], root, seeds=seeds)) == 0
        content = table(root)
        assert content["seeds"] == [0, 4]
        assert [row["seeds"] for row in content["rows"]] == [[0, 4]] * 2
        assert "seeds 0, 4." in (root / "experiments.md").read_text()


def test_other_settings_are_refused_before_anything_is_trained(
    straight: tuple[Path, str], lasting_shards: Built
) -> None:
    runs = sorted(straight[0].glob("*-0"))
    with pytest.raises(ValueError, match=r"is of another epochs.*--root"):
        experiments(config(lasting_shards[0], straight[0], epochs=3))
    assert sorted(straight[0].glob("*-0")) == runs


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"only": ("study",)}, "there is no row study; there are study-base"),
        ({"scale": 0}, "scale"),
        ({"seeds": ()}, "seeds"),
    ],
)
def test_a_senseless_setting_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ExperimentsConfig(test=Path("sealed"), **changes)


def test_the_same_shards_are_no_test(lasting_shards: Built, tmp_path: Path) -> None:
    shards = lasting_shards[0]
    same = tmp_path / "copied"
    shutil.copytree(shards, same)
    for test in (shards, same):
        with pytest.raises(ValueError, match=r"holds the same as .*other subjects"):
            experiments(ExperimentsConfig(test, shards, tmp_path / "root"))
    assert not list((tmp_path / "root").glob("*-0"))


def test_a_test_of_people_who_are_learned_from_is_refused(
    lasting_shards: Built, tmp_path: Path
) -> None:
    shards, manifest = lasting_shards
    data = shards.parent / "scans"
    dealt_anew = tmp_path / "dealt-anew"
    build(find_scans(data), ShardsConfig(out=dealt_anew, data=data, seed=1, workers=1))
    (tested,) = subjects_of(dealt_anew, ["test"])
    assert tested in subjects_of(shards, ["train", "validation"])
    assert len(subjects_of(shards, ["train"])) == manifest.subjects["train"]
    with pytest.raises(ValueError, match=rf"tests {tested}, whom .* learns from"):
        experiments(ExperimentsConfig(dealt_anew, shards, tmp_path / "root"))
