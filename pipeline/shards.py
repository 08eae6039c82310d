"""Writes labelled scans as TFRecord shards with a manifest.

    python -m pipeline.shards --data DATA --out data/shards/NAME
    python -m pipeline.shards --phantom 160 --out data/shards/NAME

A shard is the unit of work: a process writes it, a digest seals it, and a build that
was interrupted goes on with the next one. The same input gives the same bytes.
"""

import csv
import dataclasses
import hashlib
import itertools
import json
import logging
import math
import os
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import mri_contrast.slices
from pipeline import phantom
from pipeline.command import run_command
from pipeline.contrasts import CLASSES
from pipeline.files import replacing
from pipeline.jobs import PARTS, Job, Part, finished, write_shard
from pipeline.manifest import NAME, SCHEMA, Manifest, load_manifest
from pipeline.phantom import PhantomConfig, phantom_scans
from pipeline.progress import progress
from pipeline.sources import LabelledScan, find_scans
from pipeline.splits import SPLITS, SplitConfig, split_scans
from pipeline.workers import run_all

__all__ = ["Manifest", "ShardsConfig", "build", "load_manifest"]

REJECTED: Final = "rejected.csv"
_OURS: Final = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.tfrecord")

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class ShardsConfig:
    """Turns a source of labelled scans into shards.

    Attributes:
        out: Folder for the shards; an earlier, unfinished build in it goes on.
        data: Folder or CSV file with labelled scans (see `pipeline.sources`).
        phantom: Number of simulated subjects, each scanned several times, in place of
            `data`.
        seed: Deals the subjects to the splits and shuffles the slices.
        validation: Share of the subjects kept for validation.
        test: Share of the subjects kept for the test.
        allow_leak: Keep given splits that share subjects.
        scans_per_shard: At most 24 slices of 22.5 kB each: 64 scans are at most 35 MB,
            which a worker holds in memory to shuffle.
        max_rejected: Share of unusable scans above which the build stops.
        workers: Processes; 1 works in this one.
    """

    out: Path
    data: Path | None = None
    phantom: int | None = None
    seed: int = 0
    validation: float = 0.1
    test: float = 0.1
    allow_leak: bool = False
    scans_per_shard: int = 64
    max_rejected: float = 0.05
    workers: int = os.cpu_count() or 1

    def __post_init__(self) -> None:
        if (self.data is None) == (self.phantom is None):
            raise ValueError(
                "name one source: --data with a folder or CSV file, or --phantom with "
                "a number of simulated subjects"
            )
        for name in ("scans_per_shard", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if not 0 <= self.max_rejected <= 1:
            raise ValueError(f"max_rejected must be in [0, 1], got {self.max_rejected}")
        self.split_config()

    def split_config(self) -> SplitConfig:
        """Returns what `pipeline.splits` needs to know."""
        return SplitConfig(self.seed, self.validation, self.test, self.allow_leak)

    def recorded(self) -> dict[str, object]:
        """Returns what decides the content: all but where and by how many hands."""
        content = dataclasses.asdict(self)
        del content["out"], content["workers"]
        # Neither where the data lie nor how much may be rejected changes a byte.
        del content["max_rejected"]
        content["data"] = None if self.data is None else self.data.resolve().name
        content["phantom_code"] = None if self.phantom is None else _phantom_code()
        return content


def _phantom_code() -> str:
    """A digest of the simulator's source: other code, other scans."""
    sources = sorted(Path(phantom.__path__[0]).glob("*.py"))
    return hashlib.sha256(b"".join(map(Path.read_bytes, sources))).hexdigest()


def plan(scans: Sequence[LabelledScan], config: ShardsConfig) -> list[Job]:
    """Decides which scans go into which shard.

    Shard i of N of a split holds its subjects i, i + N, … in an order shuffled by the
    seed, so that all shards of a split are alike in size and mixture. The scans of a
    subject stay together: simulated ones share the rendering of a head.

    Args:
        scans: All scans of the source.
        config: Seed, shares and scans per shard.
    """
    jobs = []
    origin = json.dumps(config.recorded())
    for split, members in split_scans(scans, config.split_config()).items():
        by_subject: dict[str, list[LabelledScan]] = defaultdict(list)
        for scan in members:
            by_subject[scan.subject].append(scan)
        subjects = sorted(by_subject)
        random.Random(f"{config.seed}:{split}").shuffle(subjects)
        total = min(math.ceil(len(members) / config.scans_per_shard), len(subjects))
        for index in range(total):
            file = f"{split}-{index:05d}-of-{total:05d}.tfrecord"
            share = (by_subject[subject] for subject in subjects[index::total])
            members_here = tuple(itertools.chain.from_iterable(share))
            jobs.append(Job(config.out, file, split, config.seed, origin, members_here))
    return jobs


def build(scans: Sequence[LabelledScan], config: ShardsConfig) -> Manifest:
    """Writes all shards that are not there yet, then `rejected.csv` and the manifest.

    Args:
        scans: Labelled scans of a source.
        config: Where to, and how.

    Returns:
        The manifest, as written.

    Raises:
        ValueError: The splits leak or contradict each other, or more scans could not
            be used than `max_rejected`.
    """
    jobs = plan(scans, config)
    config.out.mkdir(parents=True, exist_ok=True)
    _sweep(config.out, jobs)
    parts: dict[str, Part] = {}
    limit = config.max_rejected * len(scans)
    try:
        with progress("writing shards", len(scans), "scans") as advance:
            for job, part in _parts(jobs, config.workers):
                parts[job.file] = part
                rejected = sum(len(part.rejected) for part in parts.values())
                advance(len(job.scans), rejected=rejected)
                if rejected > limit:
                    raise _too_many(config, jobs, parts, len(scans))
    finally:
        _write_rejected(config.out, parts.values())
    manifest = _manifest(jobs, parts, config)
    manifest.save(config.out)
    return load_manifest(config.out)


def _parts(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Part]]:
    open_jobs = []
    for job in jobs:
        part = finished(job)
        if part is None:
            open_jobs.append(job)
        else:
            yield job, part
    if len(open_jobs) < len(jobs):
        _log.info("%d of %d shards are there", len(jobs) - len(open_jobs), len(jobs))
    yield from run_all(write_shard, open_jobs, workers)


def _sweep(folder: Path, jobs: Sequence[Job]) -> None:
    """Removes what another configuration or an interrupted build left behind."""
    current = {job.file for job in jobs}
    (folder / NAME).unlink(missing_ok=True)
    for path in (*folder.iterdir(), *folder.glob(f"{PARTS}/*")):
        if _OURS.match(path.name) and path.name.removesuffix(".json") not in current:
            path.unlink()


def _manifest(
    jobs: Sequence[Job], parts: dict[str, Part], config: ShardsConfig
) -> Manifest:
    slices = {split: dict.fromkeys(CLASSES, 0) for split in SPLITS}
    scans = {split: dict.fromkeys(CLASSES, 0) for split in SPLITS}
    subjects: dict[str, set[str]] = {split: set() for split in SPLITS}
    for job in jobs:
        part = parts[job.file]
        rejected = {name for name, _ in part.rejected}
        for name, count in part.slices.items():
            slices[job.split][name] += count
        for scan in job.scans:
            if scan.name not in rejected:
                scans[job.split][scan.contrast] += 1
                subjects[job.split].add(scan.subject)
    return Manifest(
        schema=SCHEMA,
        slicer=mri_contrast.slices.VERSION,
        classes=CLASSES,
        slices=slices,
        scans=scans,
        subjects={split: len(people) for split, people in subjects.items()},
        rejected=sum(len(part.rejected) for part in parts.values()),
        shards=tuple(parts[job.file].shard for job in jobs),
        config=config.recorded(),
    )


def _write_rejected(folder: Path, parts: Iterable[Part]) -> None:
    rows = sorted(row for part in parts for row in part.rejected)
    with replacing(folder / REJECTED) as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "reason"))
        writer.writerows(rows)


def _too_many(
    config: ShardsConfig, jobs: Sequence[Job], parts: dict[str, Part], total: int
) -> ValueError:
    rejected = [row for part in parts.values() for row in part.rejected]
    done = sum(len(job.scans) for job in jobs if job.file in parts)
    name, reason = rejected[0]
    return ValueError(
        f"{len(rejected)} of the first {done} scans cannot be used, more than "
        f"{config.max_rejected:.0%} of all {total}; first {name}: {reason}; "
        f"{config.out / REJECTED} has those found so far; repair or remove them, or "
        "raise --max-rejected"
    )


def _scans(config: ShardsConfig) -> list[LabelledScan]:
    if config.data is not None:
        return find_scans(config.data)
    assert config.phantom is not None
    return list(phantom_scans(PhantomConfig(config.phantom, config.seed)))


def _report(manifest: Manifest, folder: Path) -> None:
    for split in SPLITS:
        counts = ", ".join(f"{n} {name}" for name, n in manifest.slices[split].items())
        _log.info(
            "%s: %d subjects, %d scans, %d slices (%s)",
            split,
            manifest.subjects[split],
            sum(manifest.scans[split].values()),
            manifest.count(split),
            counts,
        )
    _log.info("%d shards in %s", len(manifest.shards), folder)
    if manifest.rejected:
        _log.warning("%d rejected: %s", manifest.rejected, folder / REJECTED)


def work(config: ShardsConfig) -> None:
    """Finds the scans, writes the shards and reports what they hold."""
    try:
        _report(build(_scans(config), config), config.out)
    except KeyboardInterrupt:
        _log.warning("finished shards are kept: run the same command to go on")
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        ShardsConfig, work, prog="python -m pipeline.shards", arguments=arguments
    )


if __name__ == "__main__":
    sys.exit(main())
