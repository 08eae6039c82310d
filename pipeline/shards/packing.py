"""Packing: the records of all cuts of a split become shards of equal size.

Records are copied with their frames, so that neither TensorFlow nor encoding is needed.
"""

import dataclasses
import hashlib
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.files import replacing, sha256_of
from pipeline.manifest import Shard
from pipeline.shards.frames import read_frames, stored_checksums
from pipeline.shards.jobs import PARTS, Cut, cut_file, read_note, write_note


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring records of one cut: from `start` to before `stop`."""

    cut: str
    sha256: str
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, slots=True)
class Pack:
    """A shard to be packed.

    Attributes:
        folder: Where to.
        file: Name of the shard.
        split: The split it belongs to.
        seed: Shuffles its records.
        pieces: The records that go into it.
    """

    folder: Path
    file: str
    split: str
    seed: int
    pieces: tuple[Piece, ...]

    @property
    def note(self) -> Path:
        """Where it is noted that this shard is finished."""
        return self.folder / PARTS / f"{self.file}.json"

    def fingerprint(self) -> str:
        """Returns a digest of all that decides the shard's bytes."""
        parts = (self.file, self.seed, self.pieces)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def checksums_file(folder: Path, file: str) -> Path:
    """Returns where the checksums of a shard's records are kept: `<u4`, in order."""
    return folder / PARTS / f"{file}.crc"


def plan_packs(
    cuts: Sequence[Cut], split: str, folder: Path, seed: int, megabytes: float
) -> list[Pack]:
    """Decides which records go into which shard of a split.

    Shard i of N takes the records i · total // N to (i + 1) · total // N of all cuts,
    one after the other: no two shards differ by more than one record.

    Args:
        cuts: All cuts of the split, in order.
        split: Its name.
        folder: Where the shards go.
        seed: Shuffles the records of each shard.
        megabytes: Size that no shard exceeds by more than a record.
    """
    total = sum(cut.records for cut in cuts)
    if not total:
        return []
    size = sum(cut.bytes for cut in cuts)
    number = min(max(1, math.ceil(size / (megabytes * 1e6))), total)
    packs = []
    waiting = iter(cuts)
    cut, first = next(waiting), 0  # `first` of all records is the cut's record 0.
    for index in range(number):
        start, stop = index * total // number, (index + 1) * total // number
        pieces = []
        while start < stop:
            if start >= first + cut.records:
                first += cut.records
                cut = next(waiting)
                continue
            end = min(stop, first + cut.records)
            pieces.append(Piece(cut.name, cut.sha256, start - first, end - first))
            start = end
        file = f"{split}-{index:05d}-of-{number:05d}.tfrecord"
        packs.append(Pack(folder, file, split, seed, tuple(pieces)))
    return packs


def pack(job: Pack) -> Shard:
    """Packs a shard, keeps the checksums of its records, and notes that it is finished.

    Holds the records of this one shard in memory.

    Raises:
        ValueError: A cut is damaged.
    """
    frames: list[bytes] = []
    for piece in job.pieces:
        path = cut_file(job.folder, piece.cut)
        frames.extend(read_frames(path, piece.start, piece.stop))
    random.Random(f"{job.seed}:{job.file}").shuffle(frames)
    digest = hashlib.sha256()
    with replacing(job.folder / job.file) as temporary, temporary.open("wb") as file:
        for frame in frames:
            file.write(frame)
            digest.update(frame)
    size = sum(map(len, frames))
    shard = Shard(job.file, job.split, len(frames), size, digest.hexdigest())
    checksums = checksums_file(job.folder, job.file)
    with replacing(checksums) as temporary:
        temporary.write_bytes(stored_checksums(frames).tobytes())
    note = {
        "fingerprint": job.fingerprint(),
        "checksums": sha256_of(checksums),
        "shard": dataclasses.asdict(shard),
    }
    write_note(job.note, note)
    return shard


def sealed(job: Pack) -> Shard | None:
    """Returns the shard that needs no work: noted, current, undamaged."""
    note = read_note(job.note)
    if note is None or note.get("fingerprint") != job.fingerprint():
        return None
    shard = Shard(**note["shard"])
    path, checksums = job.folder / job.file, checksums_file(job.folder, job.file)
    if not (path.is_file() and checksums.is_file()):
        return None
    if path.stat().st_size != shard.bytes or sha256_of(path) != shard.sha256:
        return None
    return shard if sha256_of(checksums) == note["checksums"] else None


def known_checksums(folder: Path, file: str) -> NDArray[np.uint32] | None:
    """Returns the checksums of the records that a finished shard was sealed with.

    None where they are not kept, as in a copy without `parts/`, or damaged.
    """
    note = read_note(folder / PARTS / f"{file}.json")
    path = checksums_file(folder, file)
    if note is None or not path.is_file() or sha256_of(path) != note.get("checksums"):
        return None
    return np.frombuffer(path.read_bytes(), "<u4")
