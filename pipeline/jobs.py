"""One shard as a job: what goes into it, writing it, knowing that it is finished."""

import dataclasses
import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Final

import mri_contrast.slices
from mri_contrast.errors import UnreadableScan
from pipeline.contrasts import CLASSES
from pipeline.files import replacing, sha256_of, write_json
from pipeline.manifest import SCHEMA, Shard
from pipeline.sources import LabelledScan

PARTS: Final = "parts"
"""Folder of what is known of each finished shard; an interrupted build reads it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A shard to be written.

    Attributes:
        folder: Where to.
        file: Name of the shard.
        split: The split it belongs to.
        seed: Shuffles the slices within the shard.
        origin: What the build was configured with; another origin, another shard.
        scans: What goes into it.
    """

    folder: Path
    file: str
    split: str
    seed: int
    origin: str
    scans: tuple[LabelledScan, ...]

    @property
    def part(self) -> Path:
        """Where it is noted that this shard is finished."""
        return self.folder / PARTS / f"{self.file}.json"

    def fingerprint(self) -> str:
        """Returns a digest of all that decides the shard's bytes."""
        versions = (SCHEMA, mri_contrast.slices.VERSION)
        parts = (versions, self.origin, self.file, self.scans)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A finished shard, with what the manifest is added up from.

    Attributes:
        fingerprint: Of the job that made it.
        shard: The file.
        slices: Number of slices by class.
        rejected: Name and reason of each scan that could not be used.
    """

    fingerprint: str
    shard: Shard
    slices: dict[str, int]
    rejected: tuple[tuple[str, str], ...]


def write_shard(job: Job) -> Part:
    """Reads, cuts and writes the scans of one shard, and notes that it is finished."""
    # Only the processes that write import TensorFlow: 3 s and 600 MiB each.
    from pipeline import records

    kept: list[records.Record] = []
    rejected = []
    for scan in job.scans:
        try:
            slices = mri_contrast.slices.cut(scan.read())
        # No MemoryError: what a machine lacks must not decide a shard's bytes.
        except (UnreadableScan, OSError) as error:
            rejected.append((scan.name, " ".join(str(error).split())))
            continue
        label = CLASSES.index(scan.contrast)
        tags = (label, scan.subject, scan.source, scan.name)
        kept.extend(records.Record(image, *tags) for image in slices)
    random.Random(f"{job.seed}:{job.file}").shuffle(kept)
    path = job.folder / job.file
    with replacing(path) as temporary:
        records.write(temporary, kept)
    counts = Counter(CLASSES[record.label] for record in kept)
    part = Part(
        fingerprint=job.fingerprint(),
        shard=Shard(
            file=job.file,
            split=job.split,
            records=len(kept),
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
        ),
        slices={name: counts[name] for name in CLASSES},
        rejected=tuple(rejected),
    )
    write_json(job.part, dataclasses.asdict(part))
    return part


def finished(job: Job) -> Part | None:
    """Returns the part of a shard that needs no work: noted, current, undamaged."""
    path = job.folder / job.file
    if not (job.part.is_file() and path.is_file()):
        return None
    content = json.loads(job.part.read_text())
    if content["fingerprint"] != job.fingerprint():
        return None
    shard = Shard(**content["shard"])
    if path.stat().st_size != shard.bytes or sha256_of(path) != shard.sha256:
        return None
    rejected = tuple((name, reason) for name, reason in content["rejected"])
    return Part(content["fingerprint"], shard, content["slices"], rejected)
