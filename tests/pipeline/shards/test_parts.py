import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.manifest import Manifest
from pipeline.shards import ShardsConfig, cut_part
from pipeline.shards.__main__ import main
from pipeline.shards.outfolder import locked
from pipeline.sources import find_scans

Built = tuple[Path, Manifest]
Make = Callable[..., Manifest]
Content = Callable[[Path], dict[str, bytes]]


def cut(data: Path, out: Path, part: str, **settings) -> None:
    settings = {"shard_megabytes": 0.24, "scans_per_job": 10} | settings
    config = ShardsConfig(out=out, data=data, part=part, workers=1, **settings)
    cut_part(find_scans(data), config)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_parts_in_any_order_and_a_merge_give_the_bytes_of_one_build(
    shards: Built,
    tmp_path: Path,
    class_folders: Path,
    make: Make,
    content: Content,
    order: tuple[int, ...],
) -> None:
    out = tmp_path / "parts"
    for part in order:
        cut(class_folders, out, f"{part}/3")
        assert not (out / "manifest.json").exists()
    make(class_folders, out, merge=True)
    assert content(out) == content(shards[0])


def test_a_plain_build_goes_on_with_what_parts_have_cut(
    shards: Built, tmp_path: Path, class_folders: Path, make: Make, content: Content
) -> None:
    out = tmp_path / "parts"
    cut(class_folders, out, "1/2")
    note = next((out / "parts").glob("train-*.json"))
    before = note.stat().st_mtime_ns
    make(class_folders, out)
    assert note.stat().st_mtime_ns == before
    assert content(out) == content(shards[0])


def test_a_merge_names_the_parts_that_are_missing(
    tmp_path: Path, class_folders: Path, make: Make
) -> None:
    out = tmp_path / "parts"
    cut(class_folders, out, "0/3")
    cut(class_folders, out, "2/3")
    message = r"2 cuts are missing or outdated: train-00001, validation-00000; run --"
    with pytest.raises(ValueError, match=rf"{message}part 1/3$"):
        make(class_folders, out, merge=True)
    assert not list(out.glob("*.tfrecord"))
    cut(class_folders, out, "1/3")
    assert len(make(class_folders, out, merge=True).shards) == 6


def test_a_merge_names_the_part_whose_cut_is_damaged_and_the_part_makes_it_again(
    shards: Built, tmp_path: Path, class_folders: Path, make: Make, content: Content
) -> None:
    out = tmp_path / "parts"
    for part in range(3):
        cut(class_folders, out, f"{part}/3")
    damaged = out / "parts" / "cut" / "train-00002.tfrecord"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"1 cuts are .*train-00002; run --part 2/3$"):
        make(class_folders, out, merge=True)
    cut(class_folders, out, "2/3")
    make(class_folders, out, merge=True)
    assert content(out) == content(shards[0])


def test_a_merge_of_nothing_says_what_to_do(
    tmp_path: Path, class_folders: Path, make: Make
) -> None:
    with pytest.raises(ValueError, match=r"6 cuts .* and 1 more; cut them with --part"):
        make(class_folders, tmp_path / "out", merge=True)


def test_input_changed_after_its_part_was_cut_is_noticed_by_the_merge(
    tmp_path: Path, class_folders: Path, make: Make, write_png
) -> None:
    out = tmp_path / "parts"
    cut(class_folders, out, "0/1")
    write_png(class_folders / "T1" / "T1_4_1.png", 999)
    with pytest.raises(ValueError, match=r"1 cuts are .* outdated: .*run --part 0/1$"):
        make(class_folders, out, merge=True)


def test_parts_work_side_by_side_and_leave_alone_what_another_one_is_writing(
    tmp_path: Path, class_folders: Path, make: Make
) -> None:
    out = tmp_path / "parts"
    cut(class_folders, out, "0/2")
    writing = out / "parts" / "cut" / "train-00003.tfrecord.0123456789ab.partial"
    writing.write_bytes(b"half of it")
    with locked(out, shared=True):
        cut(class_folders, out, "1/2")
        with pytest.raises(BlockingIOError, match="another process builds shards"):
            make(class_folders, out, merge=True)
    assert writing.exists()
    make(class_folders, out, merge=True)
    assert not writing.exists()


def test_a_part_of_something_else_leaves_finished_shards_alone(
    shards: Built, class_folders: Path, content: Content
) -> None:
    folder, _ = shards
    whole = content(folder)
    with pytest.raises(ValueError, match="seed is 0 there and 1 here"):
        cut(class_folders, folder, "0/2", seed=1)
    cut(class_folders, folder, "0/2", seed=1, replace=True)
    assert content(folder) == whole


def test_the_command_cuts_a_part_and_merges(
    shards: Built, tmp_path: Path, class_folders: Path, content: Content
) -> None:
    out = tmp_path / "parts"
    command = ["--data", str(class_folders), "--out", str(out), "--workers", "1"]
    command += ["--shard-megabytes", "0.24", "--scans-per-job", "10"]
    assert main([*command, "--part", "0/1"]) == 0
    assert main([*command, "--merge"]) == 0
    assert content(out) == content(shards[0])


@pytest.mark.parametrize("part", ["1", "2/2", "-1/2", "a/b", "0/0", "1/2/3"])
def test_a_part_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match=r"part must be written i/n .* got '"):
        ShardsConfig(out=Path("x"), phantom=1, part=part)


def test_a_part_and_a_merge_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="pass --part or --merge"):
        ShardsConfig(out=Path("x"), phantom=1, part="0/2", merge=True)


def test_parts_that_run_at_once_do_not_disturb_each_other(
    shards: Built, tmp_path: Path, class_folders: Path, make: Make, content: Content
) -> None:
    out = tmp_path / "parts"
    command = f"--data {class_folders} --out {out} --workers 1 --scans-per-job 10"
    words = [sys.executable, "-m", "pipeline.shards", *command.split()]
    words += ["--shard-megabytes", "0.24", "--part"]
    # Two of them do the same part, as a machine does that was thought to be gone.
    running = [subprocess.Popen([*words, part]) for part in ("0/2", "1/2", "1/2")]
    assert [process.wait() for process in running] == [0, 0, 0]
    make(class_folders, out, merge=True)
    assert content(out) == content(shards[0])


def test_a_part_with_too_much_to_reject_stops(
    tmp_path: Path, class_folders: Path
) -> None:
    for number in range(4):
        (class_folders / "T1" / f"T1_{number}_7.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"more than 5% of all 52; .*out/parts has"):
        cut(class_folders, tmp_path / "out", "0/1")
