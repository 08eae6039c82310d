"""The folder that shards are built in: one builder at a time, and nothing left over."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline import files
from pipeline.manifest import read_manifest_json
from pipeline.shards.jobs import CUT, PARTS, Job
from pipeline.shards.packing import Pack
from pipeline.splits import SPLITS

LOCK: Final = "lock"

_SPLIT: Final = f"({'|'.join(SPLITS)})"
_SHARD: Final = re.compile(rf"{_SPLIT}-\d{{5,}}-of-\d{{5,}}\.tfrecord")
_NOTE: Final = re.compile(
    rf"({_SPLIT}-\d{{5,}}(-of-\d{{5,}}\.tfrecord)?)\.(json|crc|tfrecord)"
)
_PARTIAL: Final = re.compile(
    rf"({_SPLIT}-\d{{5,}}.*|manifest\.json|rejected\.csv)\.\w+\.partial"
)


@contextmanager
def locked(folder: Path, *, shared: bool) -> Iterator[None]:
    """Keeps other builders out of a folder; the lock goes with the process.

    Args:
        folder: Where shards are built.
        shared: Parts of one build work side by side; all else works alone.

    Raises:
        BlockingIOError: Another builder is at work.
    """
    path = folder / PARTS / LOCK
    with files.locked(path, f"builds shards in {folder}", shared=shared):
        yield


def refuse_another_set(folder: Path, recorded: Mapping[str, object]) -> None:
    """Refuses a folder with finished shards that were made from something else.

    Args:
        folder: Where shards are to be built.
        recorded: What decides their content.

    Raises:
        ValueError: Names what differs.
    """
    try:
        there = read_manifest_json(folder)["config"]
    except (OSError, ValueError):  # Nothing finished, or damaged: the build goes on.
        return
    differing = [
        f"{name} is {_short(there.get(name))} there and {_short(recorded.get(name))} "
        "here"
        for name in sorted({*there, *recorded})
        if there.get(name) != recorded.get(name)
    ]
    if differing:
        raise ValueError(
            f"{folder} holds other shards: {'; '.join(differing)}; name another folder "
            "with --out, or pass --replace to replace them"
        )


def _short(value: object) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def sweep_cuts(folder: Path, jobs: Sequence[Job]) -> None:
    """Removes half-written files, and what earlier plans cut; needs the folder alone.

    Args:
        folder: Where shards are built.
        jobs: The current plan.
    """
    current = {job.name for job in jobs}
    for where in (folder, folder / PARTS, folder / PARTS / CUT):
        for path in where.iterdir() if where.is_dir() else ():
            match = _NOTE.fullmatch(path.name)
            stale = (
                where != folder
                and match is not None
                and match[3] is None
                and match[1] not in current
            )
            if stale or _PARTIAL.fullmatch(path.name):
                path.unlink()


def stale_shards(folder: Path, packs: Sequence[Pack]) -> list[Path]:
    """Lists shards, and what is noted of them, that are not in the current plan."""
    current = {pack.file for pack in packs}
    shards = [
        path
        for path in folder.iterdir()
        if _SHARD.fullmatch(path.name) and path.name not in current
    ]
    notes = []
    for path in (folder / PARTS).iterdir():
        match = _NOTE.fullmatch(path.name)
        if match is not None and match[3] is not None and match[1] not in current:
            notes.append(path)
    return shards + notes
