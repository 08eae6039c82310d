"""Folders in which the next version is prepared, out of every server's sight."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PREPARING: Final = re.compile(r"\.preparing-(\d{1,9})-[0-9a-f]+")


@contextlib.contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """Makes a folder under a root and removes it after, with those of killed processes.

    Args:
        root: The registry's root, so that a rename puts what was prepared in place.
    """
    for left in root.glob(".preparing-*"):
        owner = _PREPARING.fullmatch(left.name)
        if owner and not _alive(int(owner[1])):
            shutil.rmtree(left, ignore_errors=True)
    path = root / f".preparing-{os.getpid()}-{os.urandom(4).hex()}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks only
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
