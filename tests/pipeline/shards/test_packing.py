import itertools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contrasts import CLASSES
from pipeline.manifest import Manifest
from pipeline.shards.frames import read_frames
from pipeline.shards.jobs import Cut
from pipeline.shards.packing import plan_packs

Built = tuple[Path, Manifest]
Make = Callable[..., Manifest]

RECORD_BYTES = 22_620


def cut(number: int, records: int) -> Cut:
    none = dict.fromkeys(CLASSES, 0)
    name, size = f"train-{number:05d}", records * RECORD_BYTES
    return Cut(name, "train", "", None, records, size, f"{number}", none, none, 0, ())


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    megabytes=st.floats(0.01, 3),
)
def test_every_record_is_packed_once_and_shards_differ_by_one_record_at_most(
    counts: list[int], megabytes: float
) -> None:
    cuts = [cut(number, records) for number, records in enumerate(counts)]
    packs = plan_packs(cuts, "train", Path("x"), 0, megabytes)
    packed = [
        (piece.cut, record)
        for pack in packs
        for piece in pack.pieces
        for record in range(piece.start, piece.stop)
    ]
    assert packed == [(c.name, record) for c in cuts for record in range(c.records)]
    sizes = [sum(p.stop - p.start for p in pack.pieces) for pack in packs]
    assert not sizes or max(sizes) - min(sizes) <= 1
    wanted = math.ceil(sum(counts) * RECORD_BYTES / (megabytes * 1e6))
    assert len(packs) == min(wanted, sum(counts))
    assert [pack.file for pack in packs] == [
        f"train-{index:05d}-of-{len(packs):05d}.tfrecord" for index in range(len(packs))
    ]


def test_shards_of_volumes_and_images_are_of_equal_size(
    tmp_path: Path, class_folders: Path, make: Make, write_nifti
) -> None:
    for subject in (0, 3, 4, 7, 11):
        write_nifti(class_folders / "T1" / f"T1_{subject}_2.nii.gz", subject)
    manifest = make(class_folders, tmp_path / "out")
    shards = manifest.of_split("train")
    counts = [shard.records for shard in shards]
    assert len(shards) > 4
    assert max(counts) - min(counts) <= 1
    for shard in shards:
        assert shard.bytes < 0.24e6 + RECORD_BYTES


def test_every_slice_of_a_cut_is_in_one_shard_and_none_twice(
    shards: Built, tmp_path: Path, class_folders: Path, make: Make
) -> None:
    one = make(class_folders, tmp_path / "one", shard_megabytes=64)
    assert [shard.records for shard in one.shards] == [40, 4, 4]
    contents = []
    for folder, manifest in (shards, (tmp_path / "one", one)):
        frames = (
            read_frames(folder / shard.file, 0, shard.records)
            for shard in manifest.shards
        )
        contents.append(Counter(itertools.chain.from_iterable(frames)))
    assert contents[0] == contents[1]
    assert set(contents[0].values()) == {1}


def test_neighbouring_records_of_a_cut_do_not_stay_neighbours(
    tmp_path: Path, class_folders: Path, make: Make
) -> None:
    cuts, whole = tmp_path / "cuts", tmp_path / "whole"
    make(class_folders, cuts, shard_megabytes=0.24)
    make(class_folders, whole, shard_megabytes=64)
    (file,) = whole.glob("train-*")
    shuffled = read_frames(file, 0, 40)
    order = [
        frame
        for path in sorted(cuts.glob("train-*.tfrecord"))
        for frame in read_frames(path, 0, 10)
    ]
    places = [order.index(frame) for frame in shuffled]
    assert sum(b == a + 1 for a, b in itertools.pairwise(places)) < 6


@pytest.mark.parametrize("stop", [41, 99])
def test_reading_past_the_end_of_a_file_says_it_is_damaged(
    tmp_path: Path, class_folders: Path, make: Make, stop: int
) -> None:
    make(class_folders, tmp_path / "out", shard_megabytes=64)
    (file,) = (tmp_path / "out").glob("train-*.tfrecord")
    with pytest.raises(ValueError, match=r"is damaged; run the `make shards`"):
        read_frames(file, 39, stop)
