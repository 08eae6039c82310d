"""Checks finished shards against their manifest, and names whatever differs.

python -m pipeline.shards verify --shards data/shards/NAME
"""

import dataclasses
import hashlib
import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.command import WRONG_USE, run_command
from pipeline.contrasts import CLASSES
from pipeline.manifest import Manifest, Shard, read_manifest
from pipeline.progress import progress
from pipeline.shards.damage import find_damage
from pipeline.shards.frames import FOOTER, HEADER, find_frames
from pipeline.shards.packing import known_checksums
from pipeline.splits import SPLITS
from pipeline.workers import run_all

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class VerifyConfig:
    """Checks every byte and every record of finished shards.

    Attributes:
        shards: Folder with shards and their manifest.
        workers: Processes; each holds one shard in memory. 1 works in this one.
    """

    shards: Path
    workers: int = os.cpu_count() or 1

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """A shard to be checked, and the folder it lies in."""

    folder: Path
    shard: Shard


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a shard.

    Attributes:
        findings: What is wrong, each with the shard's name.
        slices: Number of readable slices by class.
        subjects: The people they are of.
    """

    findings: tuple[str, ...]
    slices: dict[str, int]
    subjects: frozenset[str]


def verify(config: VerifyConfig) -> list[str]:
    """Checks all shards.

    Returns:
        One line for each finding: none where all is as the manifest says.

    Raises:
        FileNotFoundError: The folder holds no manifest.
        ValueError: The manifest is of another version, or damaged.
    """
    manifest = read_manifest(config.shards)
    jobs = [Check(config.shards, shard) for shard in manifest.shards]
    findings: list[str] = []
    slices = {split: Counter[str]() for split in SPLITS}
    people: dict[str, set[str]] = {split: set() for split in SPLITS}
    with progress("verifying", len(jobs), "shards") as advance:
        for job, checked in run_all(check, jobs, config.workers):
            findings += checked.findings
            slices[job.shard.split].update(checked.slices)
            people[job.shard.split] |= checked.subjects
            advance(findings=len(findings))
    if not manifest.config.get("allow_leak"):
        findings += _leaks(people)
    # Counts that differ because a record is damaged would say the same once more.
    return sorted(findings) or list(_miscounted(manifest, slices, people))


def check(job: Check) -> Checked:
    """Checks one shard: its digest, and that every record can be used."""
    # Only the processes that check import TensorFlow.
    from pipeline import records

    name = job.shard.file
    path = job.folder / name
    if not path.is_file():
        return Checked((f"{name}: is missing",), {}, frozenset())
    content = memoryview(path.read_bytes())
    frames = list(find_frames(content))
    findings: list[str] = []
    if hashlib.sha256(content).hexdigest() != job.shard.sha256:
        checksums = known_checksums(job.folder, name)
        findings = find_damage(content, job.shard.records, checksums)
        findings = findings or [
            "all records are whole, its digest is another one",
            *_differing(job.shard, len(frames), len(content)),
        ]
    else:
        findings += _differing(job.shard, len(frames), len(content))
    slices = Counter[str]()
    subjects = set()
    for index, frame in enumerate(frames):
        if findings and not frame.complete:
            continue  # It is among the findings.
        data = bytes(content[frame.first + HEADER : frame.last - FOOTER])
        try:
            record = records.decode(data)
        except ValueError as error:
            if not findings:
                findings.append(f"record {index}, byte {frame.first}: {error}")
            continue
        slices[CLASSES[record.label]] += 1
        subjects.add(record.subject)
    named = tuple(f"{name}: {finding}" for finding in findings)
    return Checked(named, dict(slices), frozenset(subjects))


def _differing(shard: Shard, records: int, size: int) -> Iterator[str]:
    if records != shard.records:
        yield f"holds {records} records, the manifest says {shard.records}"
    if size != shard.bytes:
        yield f"has {size} bytes, the manifest says {shard.bytes}"


def _leaks(people: Mapping[str, set[str]]) -> Iterator[str]:
    for one, other in itertools.combinations(SPLITS, 2):
        for subject in sorted(people[one] & people[other]):
            yield f"subject {subject!r} is in {one} and {other}"


def _miscounted(
    manifest: Manifest,
    slices: Mapping[str, Mapping[str, int]],
    people: Mapping[str, set[str]],
) -> Iterator[str]:
    for split in SPLITS:
        for name, said in manifest.slices[split].items():
            if slices[split].get(name, 0) != said:
                yield (
                    f"{split} holds {slices[split].get(name, 0)} {name} slices, "
                    f"the manifest says {said}"
                )
        if len(people[split]) != manifest.subjects[split]:
            yield (
                f"{split} holds {len(people[split])} subjects, the manifest says "
                f"{manifest.subjects[split]}"
            )


def work(config: VerifyConfig) -> int:
    """Verifies, and prints one line for each finding."""
    findings = verify(config)
    for line in findings:
        print(line)
    if findings:
        _log.error(
            "error: %d %s in %s; run the `make shards` that made it again: it "
            "redoes only what is damaged",
            len(findings),
            "finding" if len(findings) == 1 else "findings",
            config.shards,
        )
        return WRONG_USE
    _log.info("%s: every byte and every record is as it was written", config.shards)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        VerifyConfig,
        work,
        prog="python -m pipeline.shards verify",
        arguments=arguments,
    )
