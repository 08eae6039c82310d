"""Prints what finished shards hold, and shows some of it on a contact sheet.

python -m pipeline.shards describe --shards data/shards/NAME --sheet sheet.png
"""

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipeline.command import run_command
from pipeline.contrasts import CLASSES
from pipeline.manifest import Manifest, load_manifest
from pipeline.progress import progress
from pipeline.shards.frames import FOOTER, HEADER, read_frames
from pipeline.shards.verify import Check
from pipeline.sheet import write_sheet
from pipeline.splits import SPLITS
from pipeline.workers import run_all

_COLUMNS: Final = 10

_SHARDS_SHOWN: Final = 4
"""So many shards of a split are searched for slices of each class to show."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class DescribeConfig:
    """Tells what shards hold: by split, class and source.

    Attributes:
        shards: Folder with shards and their manifest.
        sheet: A PNG to write: slices of each class and split, to be looked at.
        workers: Processes that read; each holds one shard. 1 works in this one.
    """

    shards: Path
    sheet: Path | None = None
    workers: int = os.cpu_count() or 1

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")


Counts = Counter[tuple[str, str]]
"""Number of slices by source and class."""


def count_sources(job: Check) -> Counts:
    """Counts the slices of one shard by source and class."""
    from pipeline import records

    frames = read_frames(job.folder / job.shard.file, 0, job.shard.records)
    read = (records.decode(frame[HEADER:-FOOTER]) for frame in frames)
    return Counter((record.source, CLASSES[record.label]) for record in read)


def sources(folder: Path, manifest: Manifest, workers: int) -> Counts:
    """Counts the slices of all shards by source and class; reads every record."""
    total: Counts = Counter()
    jobs = [Check(folder, shard) for shard in manifest.shards]
    with progress("reading", len(jobs), "shards") as advance:
        for _, counts in run_all(count_sources, jobs, workers):
            total.update(counts)
            advance()
    return total


def pictures(folder: Path, manifest: Manifest) -> dict[str, list[NDArray[np.uint8]]]:
    """Takes some slices of each class and split from its first shards.

    Returns:
        `T1 train` and so on, to (150, 150) uint8 slices; only what there is.
    """
    from pipeline import records

    rows: dict[str, list[NDArray[np.uint8]]] = {
        f"{name} {split}": [] for name in CLASSES for split in SPLITS
    }
    for split in SPLITS:
        shards = [shard for shard in manifest.shards if shard.split == split]
        for shard in shards[:_SHARDS_SHOWN]:
            for frame in read_frames(folder / shard.file, 0, shard.records):
                record = records.decode(frame[HEADER:-FOOTER])
                row = rows[f"{CLASSES[record.label]} {split}"]
                if len(row) < _COLUMNS:
                    row.append(record.image.copy())
    return {title: slices for title, slices in rows.items() if slices}


def _by_split(manifest: Manifest) -> Table:
    table = Table("split", "subjects", "scans", "slices", *CLASSES, "shards", "MB each")
    for split in SPLITS:
        sizes = [shard.bytes / 1e6 for shard in manifest.shards if shard.split == split]
        each = f"{min(sizes):.2f} to {max(sizes):.2f}" if sizes else "none"
        classes = [
            f"{manifest.slices[split][name]} of {manifest.scans[split][name]} scans"
            for name in CLASSES
        ]
        table.add_row(
            split,
            str(manifest.subjects[split]),
            str(sum(manifest.scans[split].values())),
            str(manifest.count(split)),
            *classes,
            str(len(sizes)),
            each,
        )
    return table


def _by_source(counts: Counts) -> Table:
    table = Table("source", "slices", *CLASSES)
    for source in sorted({source for source, _ in counts}):
        of_class = [counts[source, name] for name in CLASSES]
        table.add_row(source, str(sum(of_class)), *map(str, of_class))
    return table


def work(config: DescribeConfig) -> None:
    """Prints the tables and writes the sheet."""
    manifest = load_manifest(config.shards)
    # Where the output is no terminal, lines are as wide as they need to be.
    console = Console() if Console().is_terminal else Console(width=160)
    console.print(_by_split(manifest))
    console.print(_by_source(sources(config.shards, manifest, config.workers)))
    size = sum(shard.bytes for shard in manifest.shards) / 1e6
    console.print(
        f"{len(manifest.shards)} shards, {size:.1f} MB, {manifest.rejected} scans "
        f"rejected\nmanifest.json: sha256 {manifest.sha256}, schema {manifest.schema}, "
        f"slicer {manifest.slicer}",
        highlight=False,
    )
    for name, value in manifest.config.items():
        if value is not None:
            console.print(f"  {name}: {value}", highlight=False)
    if config.sheet is not None:
        write_sheet(config.sheet, pictures(config.shards, manifest), columns=_COLUMNS)
        _log.info("contact sheet: %s", config.sheet)


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        DescribeConfig,
        work,
        prog="python -m pipeline.shards describe",
        arguments=arguments,
    )
