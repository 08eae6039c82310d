import csv
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mri_contrast.scans import Scan
from pipeline.labelled import FileScan
from pipeline.manifest import Manifest, load_manifest
from pipeline.shards.__main__ import main

Built = tuple[Path, Manifest]
Make = Callable[..., Manifest]
Content = Callable[[Path], dict[str, bytes]]


def rejected(folder: Path) -> dict[str, str]:
    with (folder / "rejected.csv").open(newline="") as file:
        return {row["name"]: row["reason"] for row in csv.DictReader(file)}


def test_unreadable_scans_are_listed_and_the_build_goes_on(
    tmp_path: Path, class_folders: Path, make: Make
) -> None:
    (class_folders / "T1" / "T1_0_9.png").write_bytes(b"no image at all")
    cut_off = class_folders / "T2" / "T2_1_1.png"
    cut_off.write_bytes(cut_off.read_bytes()[:300])
    manifest = make(class_folders, tmp_path / "out")
    assert manifest.rejected == 2
    assert sum(map(manifest.count, manifest.subjects)) == 47
    reasons = rejected(tmp_path / "out")
    assert reasons.keys() == {"T1/T1_0_9.png", "T2/T2_1_1.png"}
    assert all(reasons.values())


def test_a_file_that_a_csv_names_and_nobody_finds_is_rejected(
    tmp_path: Path, class_folders: Path, make: Make
) -> None:
    names = sorted(path.relative_to(tmp_path) for path in class_folders.rglob("*.png"))
    lines = [f"{name},{name.parent.name}" for name in [*names, Path("T1/lost.png")]]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label", *lines[:-1], "T1/lost.png,T1"]))
    assert make(table, tmp_path / "out").rejected == 1
    assert rejected(tmp_path / "out").keys() == {"T1/lost.png"}


def test_too_many_rejected_stop_the_build(
    tmp_path: Path, class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        (class_folders / "T1" / f"T1_{number}_7.png").write_bytes(b"broken")
    out = tmp_path / "out"
    command = ["--data", str(class_folders), "--out", str(out), "--workers", "1"]
    assert main(command) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "scans cannot be used, more than 5% of all 52" in line
    assert "rejected.csv has those found so far; repair or remove them" in line
    assert not (out / "manifest.json").exists()
    assert len(rejected(out)) >= 3
    assert main([*command, "--max-rejected", "0.1"]) == 0
    assert load_manifest(out).rejected == 4


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EMFILE])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_failing_disk_stops_the_build_and_rejects_nothing(
    tmp_path: Path,
    class_folders: Path,
    make: Make,
    content: Content,
    capsys: pytest.CaptureFixture[str],
    number: int,
    hidden: bool,
) -> None:
    out, victim = tmp_path / "out", class_folders / "T2" / "T2_5_1.png"
    read, opened = FileScan.read, Path.open
    error = OSError(number, os.strerror(number))

    def fail(scan: FileScan) -> Scan:
        if scan.path == victim:
            raise error
        return read(scan)

    def fail_hidden(path: Path, *arguments: object, **named: object) -> object:
        if path == victim:
            raise error
        return opened(path, *arguments, **named)

    command = ["--data", str(class_folders), "--out", str(out), "--workers", "1"]
    command += ["--scans-per-job", "10", "--shard-megabytes", "0.24"]
    with pytest.MonkeyPatch.context() as patch:
        if hidden:
            patch.setattr(Path, "open", fail_hidden)
        else:
            patch.setattr(FileScan, "read", fail)
        assert main(command) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"T2/T2_5_1.png cannot be read: {os.strerror(number)}; finished" in line
    assert not (out / "manifest.json").exists()
    assert rejected(out) == {}
    kept = {path: path.stat().st_mtime_ns for path in (out / "parts").glob("*.json")}
    assert kept
    assert main(command) == 0
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    make(class_folders, tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.parametrize("kind", [FileNotFoundError, PermissionError])
def test_a_scan_that_is_gone_or_locked_is_rejected(
    tmp_path: Path,
    class_folders: Path,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[OSError],
) -> None:
    read = FileScan.read

    def fail(scan: FileScan) -> Scan:
        if scan.name == "T2/T2_5_1.png":
            raise kind(errno.EACCES, "no way in")
        return read(scan)

    monkeypatch.setattr(FileScan, "read", fail)
    assert make(class_folders, tmp_path / "out").rejected == 1
    assert rejected(tmp_path / "out").keys() == {"T2/T2_5_1.png"}
