from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mri_contrast.cli import main
from mri_contrast.slices import SIZE
from tests.client.keys import Authority
from tests.client.small_server import SmallServer, ball

Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def small() -> Iterator[SmallServer]:
    with SmallServer() as server:
        yield server


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def garbage(tmp_path: Path) -> Path:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return tmp_path / "broken.png"


def test_check_tells_the_verdict_of_each_slot_and_where_scans_belong(
    small: SmallServer, nifti: Write, capsys: Capture
) -> None:
    t1, flair = nifti(ball("T1"), "a.nii"), nifti(ball("FLAIR"), "b.nii")
    code = main(["check", f"T1={flair}", f"FLAIR={t1}", "--server", small.target])
    assert code == 3
    out, err = capsys.readouterr()
    lines = [line.split(maxsplit=2) for line in out.splitlines()]
    assert lines[0] == ["SLOT", "PROBABILITY", f"{'VERDICT':<34}  FILE"]
    assert lines[1][0] == "T1"
    assert lines[1][2].split("  ")[0] == "wrong slot (looks like FLAIR)"
    assert lines[2][2].split("  ")[0] == "wrong slot (looks like T1)"
    assert err.splitlines() == [
        f"mri-contrast: {flair}: put it into slot FLAIR",
        f"mri-contrast: {t1}: put it into slot T1",
    ]


def test_check_ends_with_0_where_all_is_well_and_2_where_one_is_unreadable(
    small: SmallServer, nifti: Write, garbage: Path, capsys: Capture
) -> None:
    scan = str(nifti(ball("T1")))
    command = ["check", "--expected", "T1", "--server", small.target, "--json"]
    assert main([*command, scan]) == 0
    assert main([*command, str(garbage), scan]) == 2
    good, bad, again = map(json.loads, capsys.readouterr().out.splitlines())
    assert good == again
    assert (good["verdict"], good["expected"], good["error"]) == ("ok", "T1", None)
    assert (bad["verdict"], bad["probability"]) == ("not usable", None)
    assert "damaged" in bad["error"]


def test_check_as_csv_holds_conflicts(
    small: SmallServer, nifti: Write, capsys: Capture
) -> None:
    scan = nifti(ball("other"), "sub-1_T1w.nii")
    assert main(["check", f"T1={scan}", "--server", small.target, "--csv"]) == 3
    out, err = capsys.readouterr()
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["verdict"] == "not usable"
    assert row["conflict"] == "its BIDS name says T1"
    assert err == f"mri-contrast: {scan}: conflict: its BIDS name says T1\n"


@pytest.mark.parametrize(
    "arguments", [["a.nii"], ["T1=a.nii", "b.nii"], ["T1=a.nii", "T1=b.nii"]]
)
def test_check_without_slots_is_wrong_use(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", *arguments, "--server", "localhost:1"])
    assert caught.value.code == 2


@pytest.mark.parametrize("name", ["LANG", "LC_MESSAGES", "LC_ALL"])
def test_people_are_told_in_spanish_and_programs_are_not(
    small: SmallServer,
    nifti: Write,
    garbage: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv(name, "es_ES.UTF-8")
    scan = nifti(ball("other"), "sub-1_T1w.nii")
    assert main(["identify", str(scan), str(garbage), "--server", small.target]) == 2
    out, err = capsys.readouterr()
    assert out.split()[:5] == [
        *("CONTRASTE", "PROBABILIDAD", "CORTES", "VERSIÓN", "ARCHIVO")
    ]
    assert out.splitlines()[1].split()[0] == "otro"
    assert "contradicción: su nombre BIDS dice T1" in err
    assert f"{garbage}: no se puede leer o usar la imagen (" in err
    assert main(["check", f"T1={scan}", "--server", small.target]) == 3
    assert "no utilizable (otro)" in capsys.readouterr().out
    command = ["identify", str(scan), "--server", small.target, "--json"]
    assert main(command) == 0
    spanish = capsys.readouterr().out
    monkeypatch.setenv(name, "C")
    assert main(command) == 0
    assert capsys.readouterr().out == spanish


def test_every_spanish_text_has_the_values_of_the_english_one() -> None:
    import string

    from mri_contrast import _language

    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}

    for english, spanish in _language._SPANISH.items():
        assert fields(english) == fields(spanish), english


def test_a_sheet_shows_every_scan_with_its_verdict(
    small: SmallServer, nifti: Write, garbage: Path, tmp_path: Path
) -> None:
    scans = [str(nifti(ball(c), f"{c}.nii")) for c in ("T1", "T2", "FLAIR", "other")]
    sheet = tmp_path / "sheet.png"
    command = ["identify", *scans, str(garbage), "--server", small.target]
    assert main([*command, "--sheet", str(sheet)]) == 2
    with Image.open(sheet) as image:
        picture = np.asarray(image.convert("L"))
        colours = {colour for _, colour in image.getcolors(2**24) or ()}
    wide, high = 3 * SIZE, SIZE
    assert picture.shape[0] // (high + 40) == 2, "four in a row, and one more"
    assert picture.shape[1] // wide == 4
    # In the second plane, beside the bright disc.
    row, column = 40 + SIZE // 3, 6 + SIZE + SIZE // 3
    middle = [picture[row, column + i * (wide + 12)] for i in range(4)]
    assert len(set(middle)) == 4, "each is as bright as its class"
    assert (255, 110, 110) in colours, "the failed one's text is red"


def test_a_sheet_is_drawn_of_many_scans_without_taking_all_memory() -> None:
    from mri_contrast import Result, UnreadableScan
    from mri_contrast._sheet import MOST, Sheet

    sheet = Sheet(Path("unused.png"))
    for _ in range(MOST + 3):
        sheet.add(Result("ñ" * 100, error=UnreadableScan("no")))
    assert len(sheet._tiles) == MOST
    assert sheet.left_out == 3


def test_bids_adds_the_verdict_to_the_sidecar_and_keeps_the_rest(
    small: SmallServer, nifti: Write
) -> None:
    scan = nifti(ball("FLAIR"), "sub-1_T2w.nii.gz")
    sidecar = scan.with_name("sub-1_T2w.json")
    sidecar.write_text('{"EchoTime": 0.12, "Übung": "ñ"}', "utf-8")
    fresh = nifti(ball("T1"), "sub-2_T1w.nii")
    before = sorted(p.name for p in scan.parent.iterdir())
    command = ["identify", str(scan), str(fresh), "--server", small.target, "--bids"]
    assert main(command) == 0
    fields = json.loads(sidecar.read_text("utf-8"))
    assert (fields["EchoTime"], fields["Übung"]) == (0.12, "ñ")
    assert fields["MriContrast"]["Suffix"] == "FLAIR"
    assert fields["MriContrast"]["ModelVersion"] == 7
    assert fields["MriContrast"]["Conflict"] == ["its BIDS name says T2"]
    after = sorted(p.name for p in scan.parent.iterdir())
    assert after == sorted([*before, "sub-2_T1w.json"]), "nothing is renamed"


def test_a_sidecar_that_is_no_json_is_left_alone(
    small: SmallServer, nifti: Write, capsys: Capture
) -> None:
    scan = nifti(ball("T1"), "scan.nii")
    scan.with_name("scan.json").write_text("[1, 2]")
    assert main(["identify", str(scan), "--server", small.target, "--bids"]) == 2
    assert scan.with_name("scan.json").read_text() == "[1, 2]"
    assert "left as it is" in capsys.readouterr().err


def test_files_are_renamed_where_that_is_asked_and_never_over_others(
    small: SmallServer, nifti: Write, capsys: Capture
) -> None:
    wrong = nifti(ball("FLAIR"), "sub-1_run-1_T2w.nii.gz")
    nameless = nifti(ball("T1"), "upload.nii")
    other = nifti(ball("other"), "sub-3_T1w.nii")
    taken = nifti(ball("T2"), "sub-4_T1w.nii")
    nifti(ball("T2"), "sub-4_T2w.nii")
    scans = [str(p) for p in (wrong, nameless, other, taken)]
    command = ["identify", *scans, "--server", small.target, "--rename"]
    assert main(command) == 0
    found = {path.name for path in wrong.parent.iterdir()}
    assert {"sub-1_run-1_FLAIR.nii.gz", "sub-1_run-1_FLAIR.json"} <= found
    assert {"upload_T1w.nii", "upload_T1w.json", "sub-3_T1w.nii"} <= found
    assert {"sub-4_T1w.nii", "sub-4_T2w.nii"} <= found
    assert not {"sub-1_run-1_T2w.nii.gz", "upload.nii", "upload.json"} & found
    assert "not renamed: sub-4_T2w.nii is there already" in capsys.readouterr().err


def test_an_audit_file_and_a_journal_are_kept(
    small: SmallServer, nifti: Write, tmp_path: Path, capsys: Capture
) -> None:
    scan = str(nifti(ball("T1")))
    kept = ["--audit", str(tmp_path / "audit"), "--journal", str(tmp_path / "done")]
    command = ["identify", scan, "--server", small.target, *kept]
    assert main(command) == main(command) == 0
    assert len(small.requests) == 1
    assert len((tmp_path / "audit").read_text().splitlines()) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == out[2:], "the second run tells the same"


def test_a_token_from_a_file_and_tls_are_used(
    nifti: Write, tmp_path: Path, needed: Any
) -> None:
    import grpc

    needed("openssl", "it makes the keys")
    authority = Authority(tmp_path / "keys")
    pair = authority.pair("server")
    credentials = grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.certificate.read_bytes())]
    )
    (tmp_path / "token").write_text("abc\n")
    given = ["--ca", str(authority.ca), "--token-file", str(tmp_path / "token")]
    with SmallServer(credentials=credentials) as server:
        scan = str(nifti(ball("T1")))
        assert main(["identify", scan, "--server", server.target, *given]) == 0
    assert server.metadata[0]["authorization"] == "Bearer abc"


def test_a_missing_certificate_is_told_in_one_line(
    nifti: Write, capsys: Capture
) -> None:
    command = ["identify", str(nifti(ball("T1"))), "--server", "localhost:1"]
    assert main([*command, "--ca", "/nowhere/ca.pem"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "/nowhere/ca.pem" in line


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_drawn_on_terminals_only(
    small: SmallServer, nifti: Write, terminal: bool
) -> None:
    import pty

    scans = [str(nifti(ball("T1"), name)) for name in ("a.nii", "b.nii")]
    command = [sys.executable, "-m", "mri_contrast.cli", "identify", *scans]
    near, far = pty.openpty() if terminal else os.pipe()
    try:
        done = subprocess.run(
            [*command, "--server", small.target, "--json"],
            stdout=subprocess.PIPE,
            stderr=far,
            check=True,
        )
    finally:
        os.close(far)
    try:
        said = os.read(near, 65536)
    except OSError:  # a terminal that nobody wrote to
        said = b""
    os.close(near)
    assert len(done.stdout.splitlines()) == 2
    assert (b"2/2 files" in said) == terminal
    if not terminal:
        assert said == b""
