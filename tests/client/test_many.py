from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mri_contrast import Client, MriContrastError, Result, UnreadableScan
from tests.client.small_server import SmallServer, always, ball

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small() -> Iterator[SmallServer]:
    with SmallServer() as server:
        yield server


@pytest.fixture
def client(small: SmallServer) -> Iterator[Client]:
    with Client(small.target) as made:
        yield made


@pytest.fixture
def uploads(nifti: Callable[..., Path]) -> Path:
    """T1, a broken file, FLAIR and a folder with T2."""
    folder = nifti(ball("T1"), "a.nii.gz").parent
    nifti(ball("FLAIR"), "c.nii.gz")
    (folder / "b.nii.gz").write_bytes((folder / "a.nii.gz").read_bytes()[:2000])
    (folder / "deep").mkdir()
    nifti(ball("T2"), "deep/d.nii")
    return folder


def short(results: Iterator[Result] | list[Result]) -> list[tuple[str, str | None]]:
    return [
        (
            Path(result.file, result.part or "").name,
            result.answer.contrast if result.answer else None,
        )
        for result in results
    ]


ALL = [("a.nii.gz", "T1"), ("b.nii.gz", None), ("c.nii.gz", "FLAIR"), ("d.nii", "T2")]


def test_a_folder_a_pattern_a_list_and_paths_give_the_same_results_in_order(
    client: Client, uploads: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = tmp_path_factory.mktemp("lists") / "scans.csv"
    names = ["a.nii.gz", "b.nii.gz", "c.nii.gz", "deep/d.nii"]
    rows = [f"{i},{uploads / name}" for i, name in enumerate(names)]
    table.write_text("\n".join(["id,File", *rows, "9,"]))
    everything = f"{uploads}/**/*.nii*"
    for sources in (uploads, everything, table, [uploads / n for n in names]):
        assert short(client.identify_many(sources)) == ALL, sources


def test_a_list_names_files_relative_to_itself(client: Client, uploads: Path) -> None:
    (uploads / "scans.csv").write_text("path\na.nii.gz\nmissing.nii\n")
    good, missing = client.identify_many(uploads / "scans.csv")
    assert good.answer is not None
    assert missing.file == str(uploads / "missing.nii")
    assert "there is no such file" in str(missing.error)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"", b"file\n\xff\xfe\n"])
def test_a_list_that_lists_nothing_is_refused(
    client: Client, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "scans.csv").write_bytes(content)
    with pytest.raises(UnreadableScan, match="CSV file"):
        list(client.identify_many(tmp_path / "scans.csv"))


def test_a_failure_is_named_and_the_rest_goes_on(client: Client, uploads: Path) -> None:
    results = list(client.identify_many(uploads))
    (broken,) = [result for result in results if result.error]
    assert isinstance(broken.error, UnreadableScan)
    assert "cut short" in str(broken.error)
    assert (broken.file, broken.part) == (str(uploads), "b.nii.gz")


def test_arrays_bytes_and_scans_need_no_path(client: Client, uploads: Path) -> None:
    sources = [ball("T2"), (uploads / "a.nii.gz").read_bytes(), b"nothing"]
    results = list(client.identify_many(sources))
    assert [r.file for r in results] == ["", "", ""]
    assert short(results) == [("", "T2"), ("", "T1"), ("", None)]


def test_one_array_is_one_scan_not_a_list_of_slices(client: Client) -> None:
    assert short(client.identify_many(ball("T1"))) == [("", "T1")]


def test_results_come_before_the_rest_is_read(client: Client, uploads: Path) -> None:
    read: list[str] = []

    def sources() -> Iterator[Path]:
        for name in ("a.nii.gz", "c.nii.gz", "a.nii.gz", "c.nii.gz"):
            read.append(name)
            yield uploads / name

    results = client.identify_many(sources(), ahead=1)
    assert next(results).answer is not None
    assert len(read) <= 2
    assert len(list(results)) == 3


def test_without_reading_ahead_a_scan_is_read_when_it_is_asked_for(
    client: Client, uploads: Path
) -> None:
    results = client.identify_many(uploads, ahead=0)
    next(results)
    (uploads / "c.nii.gz").write_bytes(b"gone")
    assert short(results)[1] == ("c.nii.gz", None)


def test_memory_does_not_grow_with_the_number_of_scans(
    client: Client, small: SmallServer, nifti: Callable[..., Path]
) -> None:
    path = nifti(np.tile(ball("T1"), (2, 1, 1)), "a.nii")  # 442 kB of voxels
    small.requests = deque(maxlen=0)  # the server is in this process, too

    def peak(count: int) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert sum(1 for _ in client.identify_many([path] * count, ahead=2)) == count
        return tracemalloc.get_traced_memory()[1] - before

    peak(3)
    tracemalloc.start()
    try:
        # How many scans are held at once is up to threads: each side has 60 tries.
        few, many = max(peak(5) for _ in range(12)), peak(60)
    finally:
        tracemalloc.stop()
    assert many < few + 1_000_000, "55 more scans of 442 kB"


def test_the_same_run_started_again_asks_only_for_what_is_missing(
    client: Client, small: SmallServer, uploads: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "done.jsonl"
    pattern = f"{uploads}/**/*.nii*"
    first = client.identify_many(pattern, journal=journal, ahead=0)
    assert short([next(first), next(first)]) == ALL[:2]
    first.close()
    asked = len(small.requests)
    assert asked == 1
    results = list(client.identify_many(pattern, journal=journal))
    assert short(results) == ALL
    assert [result.repeated for result in results] == [True, True, False, False]
    assert len(small.requests) == asked + 2
    again = list(client.identify_many(pattern, journal=journal))
    assert [result.repeated for result in again] == [True] * 4
    assert [r.answer for r in again] == [r.answer for r in results]
    assert [str(r.error) for r in again] == [str(r.error) for r in results]


def test_parts_of_a_folder_are_resumed_one_by_one(
    client: Client,
    small: SmallServer,
    uploads: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    journal = tmp_path_factory.mktemp("journal") / "done.jsonl"
    first = client.identify_many(uploads, journal=journal, ahead=0)
    assert short([next(first)]) == ALL[:1]
    first.close()
    results = list(client.identify_many(uploads, journal=journal))
    assert short(results) == ALL
    assert [result.repeated for result in results] == [True, False, False, False]


def test_a_file_that_changed_is_asked_about_again(
    client: Client, uploads: Path, nifti: Callable[..., Path], tmp_path: Path
) -> None:
    journal, path = tmp_path / "done.jsonl", uploads / "a.nii.gz"
    assert short(client.identify_many(path, journal=journal)) == [("a.nii.gz", "T1")]
    nifti(ball("FLAIR"), "a.nii.gz")
    (again,) = client.identify_many(path, journal=journal)
    assert (again.repeated, again.answer and again.answer.contrast) == (False, "FLAIR")


def test_a_failure_of_the_server_is_asked_about_again(
    small: SmallServer, uploads: Path, tmp_path: Path
) -> None:
    import grpc

    small.fails = [(grpc.StatusCode.INTERNAL, "hiccup")]
    with Client(small.target) as client:
        journal, path = tmp_path / "done.jsonl", uploads / "a.nii.gz"
        (first,) = client.identify_many(path, journal=journal)
        assert "INTERNAL: hiccup" in str(first.error)
        (second,) = client.identify_many(path, journal=journal)
    assert (second.repeated, second.error) == (False, None)


def test_a_journal_of_other_questions_or_none_at_all_is_refused(
    small: SmallServer, uploads: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "done.jsonl"
    with Client(small.target) as client:
        list(client.identify_many(uploads, journal=journal))
        (tmp_path / "letter.txt").write_text("Dear Sir,\n")
        with pytest.raises(ValueError, match="no journal; name another file"):
            list(client.identify_many(uploads, journal=tmp_path / "letter.txt"))
        assert (tmp_path / "letter.txt").read_text() == "Dear Sir,\n"
        with pytest.raises(ValueError, match="a journal is for paths"):
            list(client.identify_many(ball("T1"), journal=journal))
    with (
        Client(small.target, label="canary") as other,
        pytest.raises(ValueError, match="other questions"),
    ):
        list(other.identify_many(uploads, journal=journal))


def test_two_runs_cannot_have_one_journal(
    client: Client, uploads: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "done.jsonl"
    first = client.identify_many(uploads, journal=journal, ahead=0)
    next(first)
    with pytest.raises(BlockingIOError, match="another run has this journal"):
        next(client.identify_many(uploads, journal=journal))
    first.close()


def test_a_line_that_was_being_written_at_a_power_cut_is_done_again(
    client: Client, uploads: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "done.jsonl"
    list(client.identify_many(uploads / "a.nii.gz", journal=journal))
    whole = journal.read_bytes()
    for cut in (1, 20, len(whole.splitlines()[-1])):
        journal.write_bytes(whole[:-cut])
        (again,) = client.identify_many(uploads / "a.nii.gz", journal=journal)
        assert not again.repeated
        assert journal.read_bytes() == whole


def test_a_server_that_is_gone_ends_the_run_and_nothing_is_lost(
    uploads: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "done.jsonl"
    with SmallServer() as server, Client(server.target, timeout=3) as client:
        results = client.identify_many(f"{uploads}/*.gz", journal=journal, ahead=0)
        next(results)
        server.stop()
        assert short([next(results)]) == ALL[1:2]
        with pytest.raises(MriContrastError, match="no server answers"):
            next(results)
    with SmallServer(says=always("T2")) as server, Client(server.target) as client:
        again = list(client.identify_many(f"{uploads}/*.gz", journal=journal))
    assert short(again) == [*ALL[:2], ("c.nii.gz", "T2")]


def test_kill_9_loses_nothing_that_was_told_and_repeats_nothing(
    small: SmallServer, nifti: Callable[..., Path], tmp_path: Path
) -> None:
    folder = nifti(ball("T1"), "0.nii").parent
    for number in range(1, 40):
        os.link(folder / "0.nii", folder / f"{number:02d}.nii")
    command = [
        *(sys.executable, "-m", "mri_contrast.cli", "identify", f"{folder}/*.nii"),
        *("--server", small.target, "--json"),
        *("--journal", str(tmp_path / "done.jsonl")),
    ]
    told: set[str] = set()
    for wanted in (3, 9, 17):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            lines = [json.loads(run.stdout.readline()) for _ in range(wanted)]
            run.send_signal(signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
        assert told <= {line["file"] for line in lines}, "told before, lost now"
        told = {line["file"] for line in lines}
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert files == sorted(map(str, folder.glob("*.nii")))
    # Each kill may take what was under way with it: two ahead, and one being written.
    assert 40 <= len(small.requests) <= 40 + 3 * 3
