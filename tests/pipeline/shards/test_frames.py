import itertools
import struct

import numpy as np
import pytest

from pipeline.shards import frames
from pipeline.shards.checksums import masked_crc32c
from pipeline.shards.frames import Frame, find_frames


def framed(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    sums = [int(masked_crc32c([block])[0]) for block in (length, data)]
    return length + struct.pack("<I", sums[0]) + data + struct.pack("<I", sums[1])


def file_of(sizes: list[int]) -> tuple[bytearray, list[int]]:
    """Records of these sizes, half of them black, and where each begins."""
    noise = np.random.default_rng(0).integers(0, 256, max(sizes) // 2, np.uint8)
    whole = [framed(noise[: n // 2].tobytes() + bytes(n - n // 2)) for n in sizes]
    starts = np.cumsum([0, *map(len, whole)]).tolist()
    return bytearray(b"".join(whole)), starts


def test_many_flipped_headers_take_no_longer_than_the_file_is_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content, starts = file_of([20_000] * 200)
    for start in starts[1:-1:2]:
        content[start] ^= 1
    looked_at = []
    find_headers = frames.find_headers

    def counting(window: memoryview) -> np.ndarray:
        looked_at.append(len(window))
        return find_headers(window)

    monkeypatch.setattr(frames, "find_headers", counting)
    found = list(find_frames(memoryview(bytes(content))))
    assert [(frame.first, frame.last) for frame in found] == list(
        itertools.pairwise(starts)
    )
    assert [frame.length for frame in found] == [20_000, None] * 100
    assert len(looked_at) == 100
    assert sum(looked_at) < 2 * len(content)


@pytest.mark.parametrize("beyond", [*range(-14, 3), 70_000, 200_000])
def test_the_next_header_is_found_wherever_a_window_ends(beyond: int) -> None:
    gap = 2**16 + beyond - 16
    content, starts = file_of([300, gap, 400])
    content[starts[1] + 8] ^= 1
    # The search begins one byte behind the damaged header's first.
    assert list(find_frames(memoryview(bytes(content)))) == [
        Frame(0, starts[1], 300),
        Frame(starts[1], starts[2], None),
        Frame(starts[2], starts[3], 400),
    ]


def test_without_another_header_a_frame_ends_with_the_file() -> None:
    content, starts = file_of([300, 150_000])
    content[starts[1]] ^= 1
    for size in (starts[2], starts[1] + 2**16 + 1, starts[1] + 12, starts[1] + 3):
        found = list(find_frames(memoryview(bytes(content[:size]))))
        assert found[1:] == [Frame(starts[1], size, None)]
