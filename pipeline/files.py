"""Files that are either whole or not there, and their digests."""

import errno
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path` and renames it at the end.

    The content reaches the disk before the name does, so a power cut or `kill -9`
    leaves the old file, or none, never half of the new one.

    Args:
        path: The final name; its folder is made where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two containers that share the folder may both be process 1.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}.partial")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(as_json(content), encoding="utf-8")


def as_json(content: Any) -> str:
    """Returns what `write_json` writes."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def sha256_of(path: Path) -> str:
    """Returns the hexadecimal SHA-256 digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, what: str, *, shared: bool = False) -> Iterator[None]:
    """Keeps other processes out while one works; the lock goes with the process.

    Args:
        path: File to hold; its folder is made where it is missing.
        what: What another process would be doing there, for the message.
        shared: Side by side with others that share it.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: The file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"another process {what} (it holds {path}); wait for its end, or name "
                "another folder"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
                raise
            raise OSError(
                f"the file system of {path} has no locks, so nothing keeps two "
                "processes apart there; name a folder on another one"
            ) from error
        yield
