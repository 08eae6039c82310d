"""Names what is wrong with a damaged shard: which record, at which byte."""

import dataclasses
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.shards.frames import (
    FOOTER,
    HEADER,
    Frame,
    data_checksums,
    find_frames,
    stored_checksums,
)


@dataclasses.dataclass(slots=True)
class _Found:
    """A frame, and which of the shard's records it is.

    Attributes:
        frame: Where it lies.
        stored: The checksum that it ends with; 0 where it is too short for one.
        computed: The checksum of its data; 0 where it is too short for any.
        index: The record that it is; None where no checksum tells.
    """

    frame: Frame
    stored: int
    computed: int
    index: int | None = None

    @property
    def whole(self) -> bool:
        return self.frame.complete and self.stored == self.computed


def find_damage(
    content: memoryview, records: int, checksums: NDArray[np.uint32] | None
) -> list[str]:
    """Compares a file with what was sealed, record by record.

    A record is known by its checksum, so that what is missing, repeated or moved can
    be named too. Where the checksums are not kept, its place must do.

    Args:
        content: All of the file.
        records: Number of records that the manifest says.
        checksums: The checksums that the shard was sealed with, in order.

    Returns:
        One line for each finding; none where nothing is wrong.
    """
    found = _found(content)
    if checksums is None:
        for place, item in enumerate(found):
            item.index = place
        lines = list(_damaged(found, len(content)))
        if len(found) != records:
            lines.append(f"holds {len(found)} records, the manifest says {records}")
        return lines
    missing = _identify(found, checksums)
    lines = list(_damaged(found, len(content)))
    lines += [f"{_named(group)} missing" for group in _ranges(missing)]
    return lines + list(_misplaced(found, {int(value) for value in checksums}))


def _found(content: memoryview) -> list[_Found]:
    found = [_Found(frame, 0, 0) for frame in find_frames(content)]
    # Shorter ones have no data, or too little for a checksum.
    long = [f for f in found if f.frame.last - f.frame.first >= HEADER + 2 * FOOTER]
    frames = [content[f.frame.first : f.frame.last] for f in long]
    sums = zip(stored_checksums(frames), data_checksums(frames), strict=True)
    for item, (stored, computed) in zip(long, sums, strict=True):
        item.stored, item.computed = int(stored), int(computed)
    return found


def _identify(found: Sequence[_Found], checksums: NDArray[np.uint32]) -> list[int]:
    """Tells which record each frame is; returns the records that none is."""
    free: dict[int, deque[int]] = defaultdict(deque)
    for index, value in enumerate(checksums):
        free[int(value)].append(index)
    # Whole ones first: a damaged one must not take the place of a whole one.
    for item in sorted(found, key=lambda item: not item.whole):
        # What lies up to the next readable header may be more than one record.
        sure = item.frame.length is not None or item.stored == item.computed
        for value in (item.stored, item.computed) if sure else ():
            if free.get(value):
                item.index = free[value].popleft()
                break
    left = {index for indices in free.values() for index in indices}
    before = -1
    for item in found:
        if item.index is None and not item.whole and before + 1 in left:
            item.index = before + 1
            left.remove(before + 1)
        before = before if item.index is None else item.index
    return sorted(left)


def _damaged(found: Iterable[_Found], size: int) -> Iterator[str]:
    for item in found:
        if item.whole:
            continue
        first, last, length = item.frame
        if length is None and last == size and last - first < HEADER:
            wrong = f"{last - first} bytes are no record: cut off or too many"
        elif length is None:
            wrong = "the checksum of its length does not match: a byte is flipped"
        elif not item.frame.complete:
            short = HEADER + length + FOOTER - (last - first)
            wrong = f"it is cut off, {short} bytes are missing"
        else:
            wrong = "the checksum of its data does not match: a byte is flipped"
        which = "an unknown record" if item.index is None else f"record {item.index}"
        yield f"{which}, byte {first}: {wrong}"


def _misplaced(found: Iterable[_Found], known: set[int]) -> Iterator[str]:
    """Names whole records that are too many or stand where others belong."""
    furthest = -1
    for place, item in enumerate(found):
        where = f"place {place}, byte {item.frame.first}"
        if item.index is not None:
            if item.index < furthest:
                yield f"{where}: record {item.index} stands behind record {furthest}"
            furthest = max(furthest, item.index)
        elif item.whole and item.stored in known:
            yield f"{where}: a record is there once more"
        elif item.whole:
            yield f"{where}: a record that is not of this shard"


def _ranges(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Groups sorted numbers into runs: first and last."""
    first = last = None
    for index in indices:
        if last is not None and first is not None and index != last + 1:
            yield first, last
            first = None
        first = index if first is None else first
        last = index
    if first is not None and last is not None:
        yield first, last


def _named(group: tuple[int, int]) -> str:
    first, last = group
    return f"record {first} is" if first == last else f"records {first} to {last} are"
