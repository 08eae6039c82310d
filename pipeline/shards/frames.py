"""The frames of TFRecord files: read, checked and copied as they are.

A frame is the data's length (8 bytes), a checksum of the length (4), the data, and a
checksum of the data (4), all little-endian.
https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.shards.checksums import masked_crc32c

HEADER: Final = 12
FOOTER: Final = 4

_LONGEST: Final = 2**20
"""No slice with its names comes near; a damaged length must not fill the memory."""

_WINDOW: Final = 2**16
"""Bytes that a header is looked for in at once: two slices or three."""


def read_frames(path: Path, start: int, stop: int) -> list[bytes]:
    """Reads the records `start` to `stop` with what frames them, each checked.

    Records before `start` are skipped by their lengths.

    Raises:
        ValueError: The file ends before, or a record is damaged.
    """
    with path.open("rb") as file:
        for _ in range(start):
            length, _ = _header(file.read(HEADER), path)
            file.seek(length + FOOTER, 1)
        frames = []
        for _ in range(start, stop):
            length, header = _header(file.read(HEADER), path)
            frames.append(header + file.read(length + FOOTER))
            if len(frames[-1]) != HEADER + length + FOOTER:
                raise damaged(path)
    if not whole(frames):
        raise damaged(path)
    return frames


def damaged(path: Path) -> ValueError:
    """Returns the error of a file of records whose content is not what was written."""
    return ValueError(
        f"{path} is damaged; run the `make shards` that made it again: it redoes only "
        "what is damaged"
    )


def whole(frames: Sequence[bytes]) -> bool:
    """Tells whether length and data of every frame match their checksums."""
    if not frames:
        return True
    lengths = masked_crc32c([frame[:8] for frame in frames])
    return np.array_equal(
        lengths, _stored([frame[8:HEADER] for frame in frames])
    ) and np.array_equal(data_checksums(frames), stored_checksums(frames))


def data_checksums(frames: Sequence[bytes | memoryview]) -> NDArray[np.uint32]:
    """Computes the checksum of the data of each frame: (frames,) uint32."""
    return masked_crc32c([memoryview(frame)[HEADER:-FOOTER] for frame in frames])


def stored_checksums(frames: Sequence[bytes | memoryview]) -> NDArray[np.uint32]:
    """Returns the checksum that each frame ends with: (frames,) uint32."""
    return _stored([frame[-FOOTER:] for frame in frames])


def _stored(words: Sequence[bytes | memoryview]) -> NDArray[np.uint32]:
    return np.frombuffer(b"".join(words), "<u4")


def _header(header: bytes, path: Path) -> tuple[int, bytes]:
    length = int.from_bytes(header[:8], "little")
    if len(header) != HEADER or length > _LONGEST:
        raise damaged(path)
    return length, header


class Frame(NamedTuple):
    """Where a record lies in a file.

    Attributes:
        first: Byte that it begins with.
        last: Byte after it.
        length: Of its data; None where the length does not match its checksum.
    """

    first: int
    last: int
    length: int | None

    @property
    def complete(self) -> bool:
        """Whether the length is readable and the file holds that much."""
        size = self.last - self.first
        return self.length is not None and size == HEADER + self.length + FOOTER


def find_frames(content: memoryview) -> Iterator[Frame]:
    """Yields every frame of a file, however damaged it is.

    Where a length does not match its checksum, the next header that does is looked
    for: what lies between counts as one frame. The last ends with the file.

    Args:
        content: All of the file.
    """
    size, first = len(content), 0
    while first < size:
        length = _checked_length(content, first)
        if length is not None:
            last = min(first + HEADER + length + FOOTER, size)
        else:
            last = _next_header(content, first + 1)
        yield Frame(first, last, length)
        first = last


def _checked_length(content: memoryview, first: int) -> int | None:
    header = content[first : first + HEADER]
    if len(header) < HEADER:
        return None
    length = int.from_bytes(header[:8], "little")
    stored = int.from_bytes(header[8:], "little")
    if length < FOOTER or int(masked_crc32c([header[:8]])[0]) != stored:
        return None
    return length


def _next_header(content: memoryview, first: int) -> int:
    """Looks for a header from a byte on; else the end.

    Goes window by window: to the end of the file at every damaged length would take
    time that grows with the square of their number.
    """
    size = len(content)
    while first + HEADER <= size:
        window = content[first : first + _WINDOW]
        places = find_headers(window)
        if len(places):
            return first + int(places[0])
        first += len(window) - HEADER + 1  # A header may begin in the last bytes.
    return size


def find_headers(content: memoryview) -> NDArray[np.intp]:
    """Returns where a length from 256 bytes to 16 MiB matches its checksum.

    Args:
        content: At least as long as a header.
    """
    rest = np.frombuffer(content, np.uint8)
    # Five zero bytes end such a length: few places are left to compute a checksum for.
    zero = rest == 0
    candidates = np.ones(len(rest) - HEADER + 1, bool)
    for byte in range(3, 8):
        candidates &= zero[byte : byte + len(candidates)]
    # No record is shorter than 256 bytes, and black pixels are no header.
    candidates &= ~(zero[1 : 1 + len(candidates)] & zero[2 : 2 + len(candidates)])
    places = np.flatnonzero(candidates)
    stored = _stored([content[place + 8 : place + HEADER] for place in places])
    return places[masked_crc32c([content[p : p + 8] for p in places]) == stored]
