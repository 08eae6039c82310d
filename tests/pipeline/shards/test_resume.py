import contextlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mri_contrast.scans import read_scan
from pipeline.contrasts import CLASSES
from pipeline.labelled import FileScan
from pipeline.manifest import Manifest
from pipeline.shards.outfolder import locked

Built = tuple[Path, Manifest]
Make = Callable[..., Manifest]
Content = Callable[[Path], dict[str, bytes]]

KILLS = int(os.environ.get("MRI_KILLS", "2"))
"""How often `kill -9` strikes; `MRI_KILLS=20 make test` is the long version."""

SEED = int(os.environ.get("MRI_KILL_SEED") or random.randrange(2**32))
"""What their moments are drawn from; a failure names it, to be repeated with."""


def changed(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tfrecord")}


def test_an_interrupted_build_goes_on_with_what_is_missing(
    shards: Built, class_folders: Path, make: Make, content: Content
) -> None:
    folder, _ = shards
    whole, times = content(folder), changed(folder)
    gone, unnoted = "train-00001-of-00004.tfrecord", "train-00003-of-00004.tfrecord"
    (folder / "manifest.json").unlink()
    (folder / gone).unlink()
    (folder / "parts" / f"{unnoted}.json").unlink()
    (folder / f"{gone}.4711.partial").write_bytes(b"half a shard")
    make(class_folders, folder)
    assert content(folder) == whole
    redone = {name for name, time in changed(folder).items() if time != times[name]}
    assert redone == {gone, unnoted}


def test_a_flipped_byte_makes_its_shard_be_written_again(
    shards: Built, class_folders: Path, make: Make, content: Content
) -> None:
    folder, manifest = shards
    whole = content(folder)
    damaged = folder / manifest.shards[2].file
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    times = changed(folder)
    make(class_folders, folder)
    assert content(folder) == whole
    redone = {name for name, time in changed(folder).items() if time != times[name]}
    assert redone == {damaged.name}


@pytest.mark.parametrize("sign", ["parts/cut/*.tfrecord", "parts/train-*-of-*.json"])
def test_a_build_killed_with_its_workers_at_work_is_resumed_to_the_same_bytes(
    shards: Built,
    tmp_path: Path,
    class_folders: Path,
    make: Make,
    content: Content,
    sign: str,
) -> None:
    out = tmp_path / "killed"
    command = f"--data {class_folders} --out {out} --scans-per-job 10 --workers 2"
    command += " --shard-megabytes 0.24"
    build = subprocess.Popen(
        [sys.executable, "-m", "pipeline.shards", *command.split()],
        stderr=subprocess.DEVNULL,
    )
    while not list(out.glob(sign)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            build.wait(0.005)
            pytest.fail("the build ended before it could be killed")
    workers = psutil.Process(build.pid).children(recursive=True)
    build.send_signal(signal.SIGKILL)
    assert build.wait() == -signal.SIGKILL
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    make(class_folders, out)
    assert content(out) == content(shards[0])


def test_kill_9_at_random_moments_changes_no_byte(
    tmp_path: Path, class_folders: Path, content: Content
) -> None:
    command = [
        *(sys.executable, "-m", "pipeline.shards", "--data", str(class_folders)),
        *("--scans-per-job", "4", "--shard-megabytes", "0.1", "--workers", "2"),
    ]
    start = time.monotonic()
    subprocess.run([*command, "--out", tmp_path / "straight"], check=True)
    lasts = time.monotonic() - start
    whole = content(tmp_path / "straight")
    draw, struck, told = random.Random(SEED), 0, f"MRI_KILL_SEED={SEED}"
    for number in range(4 * KILLS + 8):
        if struck == KILLS:
            break
        out = tmp_path / f"killed-{number}"
        start = time.monotonic()
        build = subprocess.Popen([*command, "--out", out])
        try:
            # The moment is what is tested; half of the time goes into imports.
            assert build.wait(draw.uniform(0.5, 1) * lasts) == 0, told
            lasts = time.monotonic() - start  # so fast: strike the next one sooner
        except subprocess.TimeoutExpired:
            build.kill()
            struck += build.wait() == -signal.SIGKILL
        resumed = subprocess.run([*command, "--out", out], check=False)
        assert resumed.returncode == 0, told
        assert content(out) == whole, told
    assert struck == KILLS, told


def test_a_build_killed_at_some_steps_on_the_disk_is_resumed_to_the_same_bytes(
    tmp_path: Path, write_png
) -> None:
    for number, label in enumerate(CLASSES):
        for subject in range(5):
            name = f"{label}_{subject}_1.png"
            write_png(tmp_path / "scans" / label / name, 10 * number + subject)
    script = ("-m", "tests.pipeline.shards.kill_everywhere")
    # From a random one of the first four steps on, every fourth.
    run = subprocess.run(
        [sys.executable, *script, tmp_path / "scans", tmp_path / "out", "4"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert len(report["kills"]) > 15
    assert report["shards"] > 3
    assert report["different"] == []


def test_a_second_start_of_a_finished_build_changes_nothing(
    shards: Built, class_folders: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = shards
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    with caplog.at_level(logging.INFO):
        make(class_folders, folder)
    assert "nothing to do: all 6 shards are whole" in caplog.text
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    del before[folder / "rejected.csv"], after[folder / "rejected.csv"]
    assert before == after


def test_cuts_go_when_they_are_packed_and_only_those_needed_come_back(
    shards: Built, class_folders: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, manifest = shards
    assert list((folder / "parts" / "cut").iterdir()) == []
    read = []
    monkeypatch.setattr(
        FileScan, "read", lambda scan: read.append(scan.name) or read_scan(scan.path)
    )
    (folder / manifest.of_split("test")[0].file).unlink()
    make(class_folders, folder)
    assert len(read) == len(set(read)) == 4


def test_changed_input_is_noticed(
    shards: Built, class_folders: Path, write_png, make: Make
) -> None:
    folder, before = shards
    write_png(class_folders / "T1" / "T1_4_1.png", 999)
    after = make(class_folders, folder)
    different = [
        old.file
        for old, new in zip(before.shards, after.shards, strict=True)
        if old.sha256 != new.sha256
    ]
    assert len(different) == 1


def test_shards_of_an_earlier_plan_are_removed_and_strangers_kept(
    shards: Built, class_folders: Path, make: Make
) -> None:
    folder, _ = shards
    (folder / "notes.txt").write_text("mine")
    (folder / "mine.tfrecord").write_bytes(b"")
    manifest = make(class_folders, folder, shard_megabytes=0.5, replace=True)
    left = {path.name for path in folder.iterdir() if path.is_file()}
    assert left == {
        *(shard.file for shard in manifest.shards),
        *("manifest.json", "rejected.csv", "notes.txt", "mine.tfrecord"),
    }


def test_other_data_of_the_same_name_reuse_no_shard(
    shards: Built,
    tmp_path: Path,
    class_folders: Path,
    write_png,
    make: Make,
    content: Content,
) -> None:
    folder, _ = shards
    before = content(folder)
    other = tmp_path / "elsewhere" / class_folders.name
    for number, path in enumerate(sorted(class_folders.rglob("*.png"))):
        write_png(other / path.relative_to(class_folders), 1000 + number)
    make(other, folder)
    after = content(folder)
    shard_names = {name for name in before if name.endswith(".tfrecord")}
    assert shard_names == {name for name in after if name.endswith(".tfrecord")}
    assert all(before[name] != after[name] for name in shard_names)


def test_shards_made_from_something_else_are_not_replaced_unasked(
    shards: Built, class_folders: Path, make: Make, content: Content
) -> None:
    folder, _ = shards
    whole = content(folder)
    message = r"seed is 0 there and 3 here; name another folder .* --replace"
    with pytest.raises(ValueError, match=message):
        make(class_folders, folder, seed=3)
    assert content(folder) == whole
    assert make(class_folders, folder, seed=3, replace=True).config["seed"] == 3


def test_an_unfinished_build_of_something_else_is_replaced(
    shards: Built, tmp_path: Path, class_folders: Path, make: Make, content: Content
) -> None:
    folder, _ = shards
    (folder / "manifest.json").unlink()
    make(class_folders, folder, seed=3)
    make(class_folders, tmp_path / "fresh", seed=3)
    assert content(folder) == content(tmp_path / "fresh")


def test_two_builds_of_one_folder_do_not_meet(
    shards: Built, class_folders: Path, make: Make
) -> None:
    folder, _ = shards
    with (
        locked(folder, shared=False),
        pytest.raises(BlockingIOError, match=r"another process .*/parts/lock\)"),
    ):
        make(class_folders, folder)
    make(class_folders, folder)


def test_a_note_with_a_flipped_byte_is_not_believed(
    shards: Built, class_folders: Path, make: Make, content: Content
) -> None:
    folder, _ = shards
    whole = content(folder)
    note = folder / "parts" / "train-00001.json"
    note.write_text(note.read_text().replace('"T1": ', '"T1": 1', 1))
    make(class_folders, folder)
    assert content(folder) == whole
