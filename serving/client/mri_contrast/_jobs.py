"""From what a caller names to single scans: folders, globs, lists in CSV, zips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mri_contrast._cut import Cut, Planes, cut_scan, rereadable
from mri_contrast._hints_read import hints_of
from mri_contrast._scan import Part, Scan
from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import Source, find_parts

Sources: TypeAlias = "Source | Iterable[Source]"

_COLUMNS = ("file", "path", "scan", "image")
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Job:
    """One scan to ask about.

    Attributes:
        file: its path, or that of the folder or zip it is in; "" where it has none.
        part: its name within, where there are several.
        cut: reads and cuts it; raises UnreadableScan.
    """

    file: str
    part: str | None
    cut: Callable[[], Cut]


def each_source(sources: Sources) -> Iterator[tuple[str, Source]]:
    """Takes sources apart, one at a time: globs and CSV lists become their files.

    Yields:
        The path ("" of what has none) and the source.

    Raises:
        UnreadableScan: a CSV file that lists no scans.
    """
    if _is_one(sources):
        sources = [sources]  # type: ignore[list-item]
    source: Any
    for source in sources:  # type: ignore[union-attr]
        if not isinstance(source, (str, os.PathLike)):
            yield "", source
            continue
        path = os.fspath(source)
        for found in _matches(path):
            if found.lower().endswith(".csv") and Path(found).is_file():
                yield from ((listed, listed) for listed in _listed(Path(found)))
            else:
                yield found, found


def jobs_of(file: str, source: Source, planes: Planes) -> list[Job]:
    """The scans of one source; where nothing is a scan, a job that says so when run."""
    try:
        source = rereadable(source)
        parts = find_parts(source)
    except UnreadableScan as error:
        return [Job(file, None, partial(_fail, error))]
    hints = hints_of(source)

    def cut(part: Part) -> Cut:
        return cut_scan(part.read(), planes, lambda: hints(part.name))

    return [Job(file, part.name, partial(cut, part)) for part in parts]


def _fail(error: UnreadableScan) -> Cut:
    raise error


def _is_one(sources: Any) -> bool:
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, Scan)
    return isinstance(sources, kinds) or hasattr(sources, "read")


def _matches(pattern: str) -> Iterator[str]:
    """The paths of a glob, in order of name; anything else as it is.

    A pattern that matches nothing is given back, to be told as a file that is missing.
    """
    import glob

    if not _MAGIC.intersection(pattern) or os.path.lexists(pattern):
        yield pattern
    else:
        yield from sorted(glob.iglob(pattern, recursive=True)) or [pattern]  # noqa: PTH207 - it may be absolute


def _listed(table: Path) -> Iterator[str]:
    """The paths in a CSV file, line by line; relative ones start from its folder."""
    import csv

    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        try:
            named = {name.strip().lower(): name for name in rows.fieldnames or ()}
            column = next((named[name] for name in _COLUMNS if name in named), None)
            if column is None:
                raise UnreadableScan(
                    "the CSV file has no column file, path, scan or image; name one so"
                )
            for row in rows:
                if row[column]:
                    yield str(table.parent / row[column].strip())
        except (csv.Error, UnicodeDecodeError):
            raise UnreadableScan(
                "the CSV file is damaged or not UTF-8; save it as UTF-8 text"
            ) from None
