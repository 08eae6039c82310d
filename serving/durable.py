"""Writes that are on disk when they return, and never half-seen by another process."""

import os
from pathlib import Path

from pipeline.files import sync


def append(path: Path, line: str) -> None:
    """Adds one line to a file, apart from one that a crash left unfinished."""
    with path.open("ab+") as file:
        if file.tell() and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
            file.write(b"\n")
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def move(folder: Path, target: Path) -> None:
    """Renames a folder within its file system, its content on disk before its name."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
    folder.rename(target)
    sync(target.parent)
