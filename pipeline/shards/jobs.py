"""Cutting as a job: some scans of one split become one file of shuffled records.

The file waits in `parts/cut/` until the shards are packed from it and is deleted then.
What is known of it, the note in `parts/`, stays.
"""

import dataclasses
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Self

import mri_contrast.slices
from mri_contrast.errors import UnreadableScan
from pipeline.contrasts import CLASSES
from pipeline.files import as_json, replacing, sha256_of, write_json
from pipeline.labelled import LabelledScan
from pipeline.manifest import SCHEMA

PARTS: Final = "parts"
"""Folder of what is known of an unfinished or finished build: it is resumed from it."""

CUT: Final = "cut"
"""Folder in `PARTS` of the records that are not packed into shards yet."""

_SEAL: Final = "seal"


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """Scans to be cut.

    Attributes:
        folder: Where the shards go.
        number: Among all jobs of the build; decides which part does it.
        name: `train-00012`.
        split: The split that the scans belong to.
        seed: Shuffles the slices.
        origin: What the build was configured with; another origin, other records.
        part: The part of the build that cuts it, for example `2/16`.
        scans: What is cut.
    """

    folder: Path
    number: int
    name: str
    split: str
    seed: int
    origin: str
    part: str | None
    scans: tuple[LabelledScan, ...]

    @property
    def file(self) -> Path:
        """Where the records wait to be packed."""
        return cut_file(self.folder, self.name)

    @property
    def note(self) -> Path:
        """Where it is noted what was cut."""
        return self.folder / PARTS / f"{self.name}.json"

    def fingerprint(self) -> str:
        """Returns a digest of all that decides the records; looks at every file."""
        state = [(scan, scan.stamp()) for scan in self.scans]
        versions = (SCHEMA, mri_contrast.slices.VERSION)
        parts = (versions, self.origin, self.name, self.seed, state)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def cut_file(folder: Path, name: str) -> Path:
    """Returns where the records of a job wait to be packed."""
    return folder / PARTS / CUT / f"{name}.tfrecord"


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """What is noted of the scans of a job.

    Attributes:
        name: Of the job.
        split: The split they belong to.
        fingerprint: Of the job.
        part: The part of the build that cut it.
        records: Number of slices.
        bytes: Size of the file of records.
        sha256: Hexadecimal digest of that file.
        slices: Number of slices by class.
        scans: Number of scans that gave slices by class.
        subjects: Number of subjects that gave slices; no other job has one of them.
        rejected: Name and reason of each scan that could not be used.
    """

    name: str
    split: str
    fingerprint: str
    part: str | None
    records: int
    bytes: int
    sha256: str
    slices: dict[str, int]
    scans: dict[str, int]
    subjects: int
    rejected: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Self:
        """Builds it from the content of a note."""
        rejected = tuple((name, reason) for name, reason in content["rejected"])
        return cls(**{**content, "rejected": rejected})


def cut(job: Job) -> tuple[Cut, bool]:
    """Cuts the scans of a job, unless that is noted already.

    Holds the slices of this one job in memory.

    Returns:
        What is noted, and whether the records were written just now.

    Raises:
        OSError: The system failed to read a scan that is there.
    """
    # Before the scans are read: one that is changed meanwhile is cut again next time.
    fingerprint = job.fingerprint()
    known = noted(job, fingerprint)
    if known is not None:
        return known, False
    # Only the processes that cut import TensorFlow: 3 s and 600 MiB each.
    from pipeline import records

    kept: list[records.Record] = []
    used: list[LabelledScan] = []
    rejected = []
    for scan in job.scans:
        try:
            cut_along = mri_contrast.slices.cut_planes(scan.read())
        # No MemoryError: what a machine lacks must not decide a shard's bytes.
        except (UnreadableScan, OSError) as error:
            failure = _passing(error)
            if failure is not None:
                raise OSError(_stopped(scan.name, failure)) from error
            rejected.append((scan.name, " ".join(str(error).split())))
            continue
        label, planes = CLASSES.index(scan.contrast), scan.planes
        tags = (scan.gadolinium, scan.subject, scan.source, scan.name)
        kept.extend(
            records.Record(image, label, planes[axis], *tags)
            for axis, images in cut_along.items()
            for image in images
        )
        used.append(scan)
    random.Random(f"{job.seed}:{job.name}").shuffle(kept)
    with replacing(job.file) as temporary:
        records.write(temporary, kept)
        size, digest = temporary.stat().st_size, sha256_of(temporary)
    note = Cut(
        name=job.name,
        split=job.split,
        fingerprint=fingerprint,
        part=job.part,
        records=len(kept),
        bytes=size,
        sha256=digest,
        slices=_counted(CLASSES[record.label] for record in kept),
        scans=_counted(scan.contrast for scan in used),
        subjects=len({scan.subject for scan in used}),
        rejected=tuple(rejected),
    )
    write_note(job.note, dataclasses.asdict(note))
    return note, True


def _passing(error: BaseException) -> OSError | None:
    """Returns what the system failed with, unless it is a lasting fault of the scan.

    A disk that fails or a lack of file handles must not reject a scan for good. The
    readers hide it in an `UnreadableScan`; decoders' own errors have no number.
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, (FileNotFoundError, PermissionError)):
            return None
        if isinstance(inner, OSError) and (inner is error or inner.errno is not None):
            return inner
        inner = inner.__cause__ or inner.__context__
    return None


def _stopped(name: str, failure: OSError) -> str:
    reason = failure.strerror or str(failure) or type(failure).__name__
    return (
        f"{name} cannot be read: {reason}; finished work is kept: mend the cause and "
        "run the same command to go on"
    )


def current(job: Job) -> Cut | None:
    """Returns what is noted of a job; None where nothing is or the input changed."""
    return noted(job, job.fingerprint()) if job.note.is_file() else None


def noted(job: Job, fingerprint: str) -> Cut | None:
    """Returns what is noted of a job under a fingerprint, or None."""
    content = read_note(job.note)
    if content is None or content.get("fingerprint") != fingerprint:
        return None
    return Cut.parse(content)


def write_note(path: Path, content: dict[str, Any]) -> None:
    """Notes that work is finished, with a digest of the note itself."""
    write_json(path, {**content, _SEAL: _seal(content)})


def read_note(path: Path) -> dict[str, Any] | None:
    """Returns what a note holds, or None where there is none or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop(_SEAL)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return content if seal == _seal(content) else None


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(as_json(content).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """Records that a shard is to be packed from: file, size in bytes and digest."""

    path: Path
    bytes: int
    sha256: str


def is_whole(file: Waiting) -> bool:
    """Tells whether the records that a note speaks of are there and undamaged."""
    try:
        same = file.path.stat().st_size == file.bytes
        return same and sha256_of(file.path) == file.sha256
    except FileNotFoundError:
        return False


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts = Counter(names)
    return {name: counts[name] for name in CLASSES}
