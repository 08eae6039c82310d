"""Finds the files of a source and tells their format by content, never by name."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, Literal

from mri_contrast.errors import UnreadableScan

Kind = Literal["image", "nifti", "pair", "dicom", "zip"]

# A study with diffusion and functional series has some 10 000 DICOM files.
MAX_FILES = 50_000
# Unpacked in memory: a large study fits, a zip bomb does not.
MAX_ZIP_BYTES = 4 * 2**30
_HEAD = 4096
_GZIP = b"\x1f\x8b"
_IMAGES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: on disk, in a zip or in memory.

    Attributes:
        name: relative to the source; empty for the source itself.
        open: gives a new binary stream at the file's start.
        path: where the file is on disk, else None.
    """

    name: str
    open: Callable[[], IO[bytes]]
    path: Path | None = None

    def head(self) -> bytes:
        """The first bytes; raises UnreadableScan where they cannot be had."""
        with reading(), self.open() as stream:
            return stream.read(_HEAD)

    def read(self) -> bytes:
        """The whole file; raises UnreadableScan where it cannot be had."""
        with reading(), self.open() as stream:
            return stream.read()


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


class reading:  # noqa: N801 - used like a function: `with reading():`
    """Turns the errors of disk and zip into UnreadableScan, without any path."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or "the system gave no reason"
            raise UnreadableScan(f"it cannot be read: {reason}") from None
        if isinstance(error, (zipfile.BadZipFile, zlib.error, EOFError)):
            raise UnreadableScan("the zip is damaged; pack it again") from None
        if isinstance(error, (RuntimeError, NotImplementedError)):
            raise UnreadableScan(
                "the zip is encrypted or packed in an unusual way; pack it again with "
                "deflate and no password"
            ) from None


def kind_of(head: bytes) -> Kind | None:
    """Tells a format by the first bytes of a file; None where it is none we read."""
    if head[128:132] == b"DICM":  # first: its preamble may look like a TIFF
        return "dicom"
    if head.startswith(_IMAGES):
        return "image"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(_GZIP):
        return _nifti_kind(unzipped_head(head))
    return _nifti_kind(head) or ("dicom" if _bare_dicom(head) else None)


def unzipped_head(head: bytes) -> bytes:
    """What the first bytes of a gzip file unpack to; empty where they do not."""
    try:
        return zlib.decompressobj(31).decompress(head, _HEAD)
    except zlib.error:
        return b""


def _nifti_kind(head: bytes) -> Kind | None:
    if head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0":
        return "nifti"
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c"):
        return "pair"  # header sizes 348 and 540: the voxels are in a file beside it
    return None


def _bare_dicom(head: bytes) -> bool:
    """Old DICOM files begin with the first element of group 2 or 8, no preamble."""
    return head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0" and len(head) > 64


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
        content = source.read()
    else:
        raise TypeError(
            f"a {type(source).__name__} is no scan; give a path, bytes, a binary file "
            "object or a numpy array"
        )
    if not isinstance(content, bytes):
        raise TypeError("the file object gives text; open it in binary mode ('rb')")
    entry = Entry("", partial(io.BytesIO, content))
    if kind_of(content[:_HEAD]) == "zip":
        return _zip_entries(io.BytesIO(content))
    return [entry]


def _entries_at(path: Path) -> list[Entry]:
    with reading():
        exists, is_folder = path.exists(), path.is_dir()
    if not exists:
        raise UnreadableScan("there is no such file or folder; check the path")
    if is_folder:
        return _folder_entries(path)
    entry = Entry("", partial(_open, path), path)
    if kind_of(entry.head()) == "zip":
        return _zip_entries(path)
    return [entry]


def _folder_entries(folder: Path) -> list[Entry]:
    found = []
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.is_file():  # neither a socket nor a broken link
                name = path.relative_to(folder).as_posix()
                found.append(Entry(name, partial(_open, path), path))
        if len(found) > MAX_FILES:
            raise UnreadableScan(
                f"the folder holds more than {MAX_FILES} files; give one study at "
                "a time"
            )
    if not found:
        raise UnreadableScan("the folder is empty; give a folder that holds a scan")
    return found


def _zip_entries(source: Path | BinaryIO) -> list[Entry]:
    with reading():
        archive = zipfile.ZipFile(source)
    files = sorted(
        (info for info in archive.infolist() if not info.is_dir()),
        key=lambda info: info.filename,
    )
    if not files:
        raise UnreadableScan("the zip is empty; give a zip that holds a scan")
    size = sum(info.file_size for info in files)
    if len(files) > MAX_FILES or size > MAX_ZIP_BYTES:
        raise UnreadableScan(
            f"the zip holds {len(files)} files of {size / 2**30:.1f} GiB in all; at "
            f"most {MAX_FILES} files and {MAX_ZIP_BYTES // 2**30} GiB are unpacked"
        )
    return [Entry(info.filename, partial(archive.open, info)) for info in files]
