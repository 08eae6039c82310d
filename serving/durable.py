"""Writes that are on disk when they return, and never half-seen by another process."""

import os
from pathlib import Path


def append(path: Path, line: str) -> None:
    """Adds one line to a file."""
    with path.open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def move(folder: Path, target: Path) -> None:
    """Renames a folder within its file system, its content on disk before its name."""
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)
    folder.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
