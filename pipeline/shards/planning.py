"""What a build of shards is asked for, and which scans are cut together."""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipeline import phantom
from pipeline.labelled import LabelledScan
from pipeline.shards.jobs import Job
from pipeline.splits import SplitConfig, split_scans


@dataclasses.dataclass(frozen=True, slots=True)
class ShardsConfig:
    """Turns a source of labelled scans into shards.

    `verify --shards DIR` checks finished shards, `describe --shards DIR` tells what
    they hold; each has a `--help` of its own.

    Attributes:
        out: Folder for the shards; an earlier, unfinished build in it goes on.
        data: Folder or CSV file with labelled scans (see `pipeline.sources`).
        phantom: Number of simulated subjects, each scanned several times, in place of
            `data`.
        sealed: Simulate anatomies, protocol families and artefacts that no training
            sees, all for a test that is looked at once.
        without: Ingredients of simulated scans to leave out: what are they worth?
        mix_other: With `data`: simulated scans of the class `other` are added until
            they and the data's own are this share of the scans of every split, in
            (0, 1). 0.25 makes the four classes alike where the data hold as many T1 as
            T2 and FLAIR.
        seed: Deals the subjects to the splits and shuffles the slices.
        validation: Share of the subjects kept for validation.
        test: Share of the subjects kept for the test.
        allow_leak: Keep given splits that share subjects.
        shard_megabytes: Size of a shard, 2 800 slices; all of a split are alike to one
            slice. Large enough to be read in long strides, and few: 10 million slices
            are 3 600 files. Packing holds one in memory.
        scans_per_job: Scans that are cut and noted as one. At most 24 slices of 22.5 kB
            each: 64 scans are at most 35 MB, which a worker holds in memory to shuffle.
            Where a scan is a single image, 1024 make fewer files.
        part: Cut only this part of the scans, written `2/16` (from `0/16` to `15/16`),
            on a machine of its own; `--merge` makes the shards when all parts are done.
        merge: Cut nothing: pack what the parts have cut, and write the manifest.
        replace: Replace shards in `out` that were made from something else.
        max_rejected: Share of unusable scans above which the build stops.
        workers: Processes; 1 works in this one.
    """

    out: Path
    data: Path | None = None
    phantom: int | None = None
    sealed: bool = False
    without: tuple[str, ...] = ()
    mix_other: float | None = None
    seed: int = 0
    validation: float = 0.1
    test: float = 0.1
    allow_leak: bool = False
    shard_megabytes: float = 64.0
    scans_per_job: int = 64
    part: str | None = None
    merge: bool = False
    replace: bool = False
    max_rejected: float = 0.05
    workers: int = os.cpu_count() or 1

    def __post_init__(self) -> None:
        if (self.data is None) == (self.phantom is None):
            raise ValueError(
                "name one source: --data with a folder or CSV file, or --phantom with "
                "a number of simulated subjects; --data with --mix-other adds "
                "simulated scans to the data, as many as it takes"
            )
        if self.sealed and self.phantom is None:
            raise ValueError("--sealed is a kind of simulated scans; add --phantom N")
        if self.mix_other is not None:
            _check_mixture(self.mix_other, self.data)
        for name in ("scans_per_job", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if not 0 < self.shard_megabytes < math.inf:
            raise ValueError(
                f"shard_megabytes must be above 0, got {self.shard_megabytes}"
            )
        if not 0 <= self.max_rejected <= 1:
            raise ValueError(f"max_rejected must be in [0, 1], got {self.max_rejected}")
        if self.part is not None and self.merge:
            raise ValueError("a part is cut or all are merged: pass --part or --merge")
        self.split_config()
        self.share()

    def split_config(self) -> SplitConfig:
        """Returns what `pipeline.splits` needs to know."""
        return SplitConfig(self.seed, self.validation, self.test, self.allow_leak)

    def share(self) -> tuple[int, int]:
        """Returns number and count of the part that is asked for; all is `(0, 1)`."""
        if self.part is None:
            return 0, 1
        match = re.fullmatch(r"(\d+)/(\d+)", self.part)
        if match is None or int(match[1]) >= int(match[2]):
            raise ValueError(
                f"part must be written i/n with i from 0 to n - 1, for example 0/16 "
                f"to 15/16, got {self.part!r}"
            )
        return int(match[1]), int(match[2])

    def recorded(self) -> dict[str, object]:
        """Returns what decides the content: all but where and by how many hands."""
        content = dataclasses.asdict(self)
        for name in ("out", "workers", "part", "merge", "replace"):
            del content[name]
        # Neither where the data lie nor how much may be rejected changes a byte.
        del content["max_rejected"]
        content["without"] = list(self.without)  # as JSON gives it back
        content["data"] = None if self.data is None else self.data.resolve().name
        simulated = self.phantom is not None or self.mix_other is not None
        content["phantom_code"] = phantom_code() if simulated else None
        if self.mix_other is None:
            del content["mix_other"]
        return content


def _check_mixture(share: float, data: Path | None) -> None:
    if data is None:
        raise ValueError(
            f"--mix-other {share} adds simulated scans to scans of yours, and none are "
            "named; add --data with a folder or CSV file, or leave it out: simulated "
            "scans hold `other` already"
        )
    if not 0 < share < 1:
        raise ValueError(
            f"mix_other must be above 0 and below 1, got {share}; it is the share of "
            "the scans of a split that are `other`, for example 0.25"
        )


def phantom_code() -> str:
    """A digest of the simulator's source: other code, other scans."""
    sources = sorted(Path(phantom.__path__[0]).rglob("*.py"))
    return hashlib.sha256(b"".join(map(Path.read_bytes, sources))).hexdigest()


def plan(scans: Sequence[LabelledScan], config: ShardsConfig) -> list[Job]:
    """Decides which scans are cut together.

    Job i of N of a split holds its subjects i, i + N, … in an order shuffled by the
    seed, so that all are alike in size and mixture, and with them the shards. The
    scans of a subject stay together: simulated ones share the rendering of a head.

    Args:
        scans: All scans of the source.
        config: Seed, shares and scans per job.
    """
    jobs: list[Job] = []
    recorded = config.recorded()
    del recorded["shard_megabytes"]  # It decides how records are packed, not which.
    origin = json.dumps(recorded)
    for split, members in split_scans(scans, config.split_config()).items():
        by_subject: dict[str, list[LabelledScan]] = defaultdict(list)
        for scan in members:
            by_subject[scan.subject].append(scan)
        subjects = sorted(by_subject)
        random.Random(f"{config.seed}:{split}").shuffle(subjects)
        total = min(math.ceil(len(members) / config.scans_per_job), len(subjects))
        for index in range(total):
            share = (by_subject[subject] for subject in subjects[index::total])
            jobs.append(
                Job(
                    folder=config.out,
                    number=len(jobs),
                    name=f"{split}-{index:05d}",
                    split=split,
                    seed=config.seed,
                    origin=origin,
                    part=config.part,
                    scans=tuple(itertools.chain.from_iterable(share)),
                )
            )
    return jobs
