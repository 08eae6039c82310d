from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mri_contrast.cli import main

FIELDS = [
    *("file", "part", "contrast", "probability", "probabilities"),
    *("slices", "model_version", "gadolinium", "conflict", "error"),
]


@pytest.fixture
def scan(nifti: Callable[..., Path], volume: np.ndarray) -> str:
    return str(nifti(volume))


@pytest.fixture
def garbage(tmp_path: Path) -> str:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return str(tmp_path / "broken.png")


def test_a_table_is_printed_by_default(
    server: str, scan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["identify", scan, "--server", server]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["CONTRAST", "PROBABILITY", "SLICES", "VERSION", "FILE"]
    assert lines[1].split() == ["T1", "96.0%", "24", "7", scan]
    assert len(lines) == 2
    assert err == ""


def test_json_has_every_field_and_a_bad_file_does_not_stop_the_rest(
    server: str, scan: str, garbage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["identify", garbage, scan, "--server", server, "--json"]) == 2
    out, err = capsys.readouterr()
    bad, good = map(json.loads, out.splitlines())
    assert list(bad) == list(good) == FIELDS
    assert bad["file"] == garbage
    assert "damaged" in bad["error"]
    assert {bad[k] for k in FIELDS[1:-1]} == {None}
    assert good["contrast"] == "T1"
    assert good["probability"] == pytest.approx(0.96)
    assert sum(good["probabilities"].values()) == pytest.approx(1)
    assert (good["part"], good["error"], good["model_version"]) == (None, None, 7)
    assert good["gadolinium"] == pytest.approx(0.8)
    assert err.splitlines() == [f"mri-contrast: {garbage}: {bad['error']}"]


def test_gadolinium_is_told_of_t1_alone(
    server: str, scan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["identify", scan, "--server", server, "--json", "--accept", "0.99"]
    assert main(arguments) == 0
    unsure = json.loads(capsys.readouterr().out)
    assert (unsure["contrast"], unsure["gadolinium"]) == ("unsure", None)


def test_csv_can_be_read_back(
    server: str, scan: str, garbage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["identify", scan, garbage, "--server", server, "--csv"]) == 2
    good, bad = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert list(good) == FIELDS
    assert good["contrast"] == "T1"
    assert json.loads(good["probabilities"])["T1"] == pytest.approx(0.96)
    assert bad["contrast"] == ""
    assert "damaged" in bad["error"]


def test_every_series_of_a_folder_gets_a_line_and_a_bad_one_its_reason(
    server: str,
    nifti: Callable[..., Path],
    volume: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = nifti(volume, "a.nii").parent
    cut_short = nifti(volume, "b.nii.gz")
    cut_short.write_bytes(cut_short.read_bytes()[:2000])
    assert main(["identify", str(folder), "--server", server, "--json"]) == 2
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["part"], r["contrast"]) for r in rows] == [
        ("a.nii", "T1"),
        ("b.nii.gz", None),
    ]
    assert "cut short" in rows[1]["error"]


def test_an_unreachable_server_stops_with_one_line_that_says_what_to_do(
    scan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Port 1 (tcpmux) is reserved: nothing listens there.
    assert main(["identify", scan, scan, "--server", "localhost:1"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert "no server answers at localhost:1: start one, or check HOST:PORT" in err[0]


def test_a_server_without_the_model_stops_with_one_line(
    server: str, scan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["identify", scan, scan, "--server", server, "--model", "absent"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "publish a model there" in line


def test_a_missing_file_and_an_empty_folder_are_named(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    paths = [str(tmp_path / "missing.nii"), str(tmp_path / "empty")]
    assert main(["identify", *paths, "--server", server]) == 2
    missing, empty = capsys.readouterr().err.splitlines()
    assert missing.startswith(f"mri-contrast: {paths[0]}: there is no such file")
    assert empty.startswith(f"mri-contrast: {paths[1]}: the folder is empty")


def test_status_lists_the_versions(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--server", server]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["VERSION", "STATE"], ["7", "AVAILABLE"], ["3", "UNLOADING"]]


def test_status_fails_where_no_version_is_available(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--server", server, "--model", "loading"]) == 2
    assert "no version is available" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["identify", "a.png"],
        ["identify", "a.png", "--server", "h:1", "--json", "--csv"],
        ["status", "--server", "h:1", "--label", "stable", "--version", "1"],
        [],
    ],
)
def test_wrong_use_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_values_out_of_range_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", "a.png", "--server", "h:1", "--accept", "2"]) == 2
    assert "accept is 2.0" in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "mri-contrast identify scan.nii.gz --server" in capsys.readouterr().out


def test_ctrl_c_exits_with_130_and_no_traceback(server: str, scan: str) -> None:
    command = [sys.executable, "-u", "-m", "mri_contrast.cli", "identify", scan, scan]
    with subprocess.Popen(
        [*command, "--server", server, "--model", "slow", "--timeout", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the table's head: it runs
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "mri-contrast: interrupted; what is printed is complete\n"


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_a_file_name_that_is_no_text_is_printed_as_it_is(
    server: str, scan: str, tmp_path: Path
) -> None:
    odd = os.fsencode(tmp_path) + b"/s\xff.nii.gz"
    Path(scan).rename(os.fsdecode(odd))
    done = subprocess.run(
        [sys.executable, "-m", "mri_contrast.cli", "identify", odd, "--server", server],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(odd + b"\n")


def test_that_only_the_first_volume_was_used_is_said(
    server: str,
    nifti: Callable[..., Path],
    volume: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scan = str(nifti(np.stack([volume, volume], axis=-1)))
    assert main(["identify", scan, "--server", server, "--json"]) == 0
    out, err = capsys.readouterr()
    assert list(json.loads(out)) == FIELDS
    assert err == f"mri-contrast: {scan}: 4-D: first of 2 volumes used\n"
