"""Folders in which the next version is prepared, out of every server's sight."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"\.preparing-[0-9a-f]{16}")


@contextlib.contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """Makes a folder under a root and removes it after, with those of killed processes.

    Whoever works in one holds a lock on it, which falls with its process: numbers of
    processes say nothing where two containers share the root.

    Args:
        root: The registry's root, so that a rename puts what was prepared in place.
    """
    for left in root.glob(".preparing-*"):
        with _held(left) as free:
            if free and _NAME.fullmatch(left.name):
                shutil.rmtree(left, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        while True:
            path = root / f".preparing-{os.urandom(8).hex()}"
            path.mkdir(parents=True)
            # Another process may have taken it for a leftover before it was held.
            if stack.enter_context(_held(path)) and path.is_dir():
                break
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Holds a folder's lock; yields whether it could be had."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
