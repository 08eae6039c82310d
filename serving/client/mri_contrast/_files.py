"""Finds the files of a source: one, or those of a folder or zip, in order of name."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from mri_contrast._kinds import HEAD, kind_of
from mri_contrast.errors import UnreadableScan

# A study with diffusion and functional series has some 10 000 DICOM files.
MAX_FILES = 50_000
# Held in memory, or unpacked into it: a large study fits, a bomb does not.
MAX_BYTES = 4 * 2**30
_PIECE = 2**24


def _nothing_beside(name: str) -> Entry | None:
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: on disk, in a zip or in memory.

    Attributes:
        name: relative to the source; empty for the source itself.
        open: gives a new binary stream at the file's start.
        size: gives the file's length in bytes, unpacked where it lies in a zip.
        file: its own name without any folder; empty in memory.
        beside: finds a file in the same folder by its name, None where it is not.
    """

    name: str
    open: Callable[[], IO[bytes]]
    size: Callable[[], int]
    file: str = ""
    beside: Callable[[str], Entry | None] = _nothing_beside

    def head(self) -> bytes:
        """The first bytes; raises UnreadableScan where they cannot be had."""
        with reading(), self.open() as stream:
            return stream.read(HEAD)

    def not_above(self, limit: int) -> None:
        """Raises UnreadableScan where the file is longer than `limit` bytes."""
        with reading():
            size = self.size()
        if size > limit:
            raise UnreadableScan(
                f"the file has {size} bytes; at most {limit} are read; give one scan "
                "a file"
            )


class reading:  # noqa: N801 - used like a function: `with reading():`
    """Turns the errors of disk and zip into UnreadableScan, without any path."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, UnreadableScan):
            return
        if isinstance(error, OSError):
            reason = error.strerror or "the system gave no reason"
            raise UnreadableScan(f"it cannot be read: {reason}") from None
        if isinstance(error, (RuntimeError, NotImplementedError)):
            raise UnreadableScan(
                "the zip is encrypted or packed in an unusual way; pack it again with "
                "deflate and no password"
            ) from None
        # Besides its own, zipfile lets through what struct, codecs, lzma and a seek
        # before the start raise; all of these are errors of value or of the data.
        if isinstance(error, (zipfile.BadZipFile, zlib.error, EOFError, ValueError)):
            raise UnreadableScan("the zip is damaged; pack it again") from None


def entries_of(source: str | os.PathLike[str] | bytes | BinaryIO) -> list[Entry]:
    """Lists the files of a source: one, or those in a folder or zip, in order of name.

    Raises:
        UnreadableScan: missing, empty, damaged or too large.
        TypeError: not a path, bytes or a binary file object.
    """
    if isinstance(source, (str, os.PathLike)):
        if not os.fspath(source):  # Path("") would be the current folder
            raise UnreadableScan("the path is empty; give a file, folder or zip")
        return _entries_at(Path(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
    elif hasattr(source, "read"):
        content = _all_of(source)
    else:
        raise TypeError(
            f"a {type(source).__name__} is no scan; give a path, bytes, a binary file "
            "object or a numpy array"
        )
    if kind_of(content[:HEAD]) == "zip":
        return _packed(io.BytesIO(content))
    return [Entry("", partial(io.BytesIO, content), partial(len, content))]


def _all_of(stream: BinaryIO) -> bytes:
    """What is left of a file object; refused once it is more than we hold."""
    pieces: list[bytes] = []
    left = MAX_BYTES
    while piece := stream.read(min(_PIECE, left + 1)):
        if not isinstance(piece, bytes):
            raise TypeError("the file object gives text; open it in binary mode ('rb')")
        left -= len(piece)
        if left < 0:
            raise UnreadableScan(
                f"the file object gives more than {MAX_BYTES} bytes; give the path of "
                "the file instead"
            )
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _packed(source: Path | BinaryIO) -> list[Entry]:
    from mri_contrast._zips import zip_entries

    return zip_entries(source)


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _at(path: Path, name: str) -> Entry:
    return Entry(
        name,
        partial(_open, path),
        lambda: path.stat().st_size,
        path.name,
        partial(_beside, path.parent),
    )


def _beside(folder: Path, name: str) -> Entry | None:
    path = folder / name
    with reading():
        return _at(path, name) if path.name == name and path.is_file() else None


def _entries_at(path: Path) -> list[Entry]:
    with reading():
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    if not exists:
        raise UnreadableScan("there is no such file or folder; check the path")
    if is_folder:
        return _folder_entries(path)
    if not is_file:  # a pipe would wait for ever, a device give bytes without end
        raise UnreadableScan("it is a device or pipe; give a file, folder or zip")
    entry = _at(path, "")
    if kind_of(entry.head()) == "zip":
        return _packed(path)
    return [entry]


def hidden(name: str) -> bool:
    """Tells what systems put beside files: `.git` (copies of scans), AppleDouble."""
    return name.startswith(".") or name == "__MACOSX"


def _folder_entries(folder: Path) -> list[Entry]:
    """All files below a folder; links to files are followed, to folders not."""
    found: list[Entry] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not hidden(name))
        for name in sorted(names):
            path = Path(place, name)
            if hidden(name) or not path.is_file():  # nor a socket, nor a broken link
                continue
            found.append(_at(path, path.relative_to(folder).as_posix()))
            if len(found) > MAX_FILES:
                raise UnreadableScan(
                    f"the folder holds more than {MAX_FILES} files; give one study "
                    "at a time"
                )
    if not found:
        raise UnreadableScan("the folder is empty; give a folder that holds a scan")
    return found
