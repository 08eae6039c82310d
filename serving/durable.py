"""Writes that are on disk when they return, and never half-seen by another process."""

import os
from pathlib import Path

from pipeline.files import sync


def append(path: Path, line: str) -> None:
    """Adds one line to a file."""
    with path.open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def move(folder: Path, target: Path) -> None:
    """Renames a folder within its file system, its content on disk before its name."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
    folder.rename(target)
    sync(target.parent)
