import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mri_contrast.slices import SIZE
from pipeline import records
from pipeline.shards.damage import find_damage
from pipeline.shards.frames import read_frames, stored_checksums

RECORDS = 5


@dataclasses.dataclass(frozen=True)
class Whole:
    frames: list[bytes]
    checksums: NDArray[np.uint32]

    @property
    def content(self) -> bytes:
        return b"".join(self.frames)

    @property
    def starts(self) -> list[int]:
        return np.cumsum([0, *map(len, self.frames)]).tolist()[:-1]

    def damage(self, content: bytes) -> list[str]:
        return find_damage(memoryview(content), RECORDS, self.checksums)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    path: Path = tmp_path_factory.mktemp("damage") / "x.tfrecord"
    generator = np.random.default_rng(0)
    # Much black, as in heads: what looks like zeros must not pass for a header.
    images = generator.integers(0, 200, (RECORDS, SIZE, SIZE)).astype(np.uint8)
    images[:, :, 75:] = 0
    tags = [("p" * (1 + number), "test", f"scan-{number}") for number in range(RECORDS)]
    records.write(
        path,
        (records.Record(i, 1, 2, -1, *t) for i, t in zip(images, tags, strict=True)),
    )
    frames = read_frames(path, 0, RECORDS)
    return Whole(frames, stored_checksums(frames))


def test_a_whole_file_has_nothing_wrong(whole: Whole) -> None:
    assert whole.damage(whole.content) == []


@settings(max_examples=80, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.0, bit=0)
@example(place=9 / 113_500, bit=3)
@example(place=0.9999999, bit=7)
def test_a_flipped_bit_anywhere_names_its_record(
    whole: Whole, place: float, bit: int
) -> None:
    content = bytearray(whole.content)
    flipped = int(place * len(content))
    content[flipped] ^= 1 << bit
    index = sum(start <= flipped for start in whole.starts) - 1
    (line,) = whole.damage(bytes(content))
    assert line.startswith(f"record {index}, byte {whole.starts[index]}: the checksum")
    assert line.endswith("does not match: a byte is flipped")
    (line,) = find_damage(memoryview(bytes(content)), RECORDS, None)
    assert line.startswith(f"record {index}, byte {whole.starts[index]}: the checksum")


@pytest.mark.parametrize("byte", range(12))
def test_every_byte_of_a_header_is_guarded(whole: Whole, byte: int) -> None:
    for index, start in enumerate(whole.starts):
        content = bytearray(whole.content)
        content[start + byte] ^= 0x10
        (line,) = whole.damage(bytes(content))
        assert line.startswith(f"record {index}, byte {start}: the checksum of its len")


@pytest.mark.parametrize("gone", range(RECORDS))
def test_a_missing_record_is_named(whole: Whole, gone: int) -> None:
    content = b"".join(whole.frames[:gone] + whole.frames[gone + 1 :])
    assert whole.damage(content) == [f"record {gone} is missing"]
    lines = find_damage(memoryview(content), RECORDS, None)
    assert lines == ["holds 4 records, the manifest says 5"]


def test_missing_neighbours_are_named_together(whole: Whole) -> None:
    lines = whole.damage(whole.frames[1])
    assert lines == ["record 0 is missing", "records 2 to 4 are missing"]


def test_a_repeated_record_is_named(whole: Whole) -> None:
    content = b"".join([*whole.frames[:3], whole.frames[1], *whole.frames[3:]])
    (line,) = whole.damage(content)
    assert line == f"place 3, byte {whole.starts[3]}: a record is there once more"


def test_records_that_changed_places_are_named(whole: Whole) -> None:
    first, second, *rest = whole.frames
    (line,) = whole.damage(b"".join([second, first, *rest]))
    assert line == f"place 1, byte {len(second)}: record 0 stands behind record 1"


def test_a_record_of_another_shard_is_named(whole: Whole) -> None:
    lines = find_damage(memoryview(whole.content), RECORDS, whole.checksums[:-1])
    assert lines == [
        f"place 4, byte {whole.starts[4]}: a record that is not of this shard"
    ]


@settings(max_examples=40, deadline=None)
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_names_every_record_that_is_not_whole(
    whole: Whole, kept: float
) -> None:
    size = int(kept * len(whole.content))
    named = set()
    for line in whole.damage(whole.content[:size]):
        numbers = [int(word) for word in re.findall(r"records? (\d+)", line)]
        last = re.search(r" to (\d+)", line)
        named |= set(range(numbers[0], int(last[1] if last else numbers[0]) + 1))
    ends = [s + len(f) for s, f in zip(whole.starts, whole.frames, strict=True)]
    assert named == {index for index, end in enumerate(ends) if end > size}


def test_bytes_put_between_records_are_named(whole: Whole) -> None:
    content = whole.frames[0] + b"\x01" * 500 + b"".join(whole.frames[1:])
    (line,) = whole.damage(content)
    assert line.startswith(f"an unknown record, byte {len(whole.frames[0])}: the check")


def test_damage_in_two_records_is_named_twice(whole: Whole) -> None:
    content = bytearray(whole.content)
    for index in (1, 3):
        content[whole.starts[index] + 3000] ^= 1
        content[whole.starts[index] + 3] ^= 1
    lines = whole.damage(bytes(content))
    assert [line.split(",")[0] for line in lines] == ["record 1", "record 3"]


def test_a_record_between_two_damaged_headers_counts_as_missing(whole: Whole) -> None:
    content = bytearray(whole.content)
    for index in (1, 2):
        content[whole.starts[index] + 3000] ^= 1
        content[whole.starts[index] + 3] ^= 1
    first, second = whole.damage(bytes(content))
    assert first.startswith(f"record 1, byte {whole.starts[1]}: the checksum of its le")
    assert second == "record 2 is missing"
