"""Lists what a zip holds, within limits that are set before anything is unpacked."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from mri_contrast import _files
from mri_contrast._files import Entry, hidden, reading
from mri_contrast.errors import UnreadableScan

# A line of the directory has 46 bytes and the name: 200 leave room for long ones.
_LINE = 200
_END, _END_64, _LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
# The end of a zip: 22 bytes and a comment, before it 56 and 20 where it has 64 bits.
_LONGEST_END = 22 + 0xFFFF + 56 + 20
_DRIVE = re.compile(r"^(?:[A-Za-z]:)?/*")


def zip_entries(source: Path | BinaryIO) -> list[Entry]:
    """Lists the files of a zip in order of name; nothing is written to the disk.

    Links are passed over, never followed; so is what systems hide.

    Raises:
        UnreadableScan: damaged, empty, above the limits, or with a path that climbs
            out of the zip.
    """
    _check_directory(source)
    with reading():
        archive = zipfile.ZipFile(source)
    files = sorted(
        (info for info in archive.infolist() if _is_file(info)),
        key=lambda info: info.filename,
    )
    size = sum(info.file_size for info in files)
    if len(files) > _files.MAX_FILES or size > _files.MAX_BYTES:
        raise UnreadableScan(
            f"the zip holds {len(files)} files of {size / 2**30:.1f} GiB in all; at "
            f"most {_files.MAX_FILES} files and {_files.MAX_BYTES // 2**30} GiB are "
            "unpacked"
        )
    names = [(info, _inside(info.filename)) for info in files]
    shown = {path: info for info, path in names if not any(map(hidden, path.parts))}
    if not shown:
        raise UnreadableScan("the zip is empty; give a zip that holds a scan")
    return [_entry(archive, shown, path) for path in shown]


def _is_file(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was packed on Windows
    is_named = info.filename and not info.filename.endswith("/")
    return bool(is_named) and kind in (0, stat.S_IFREG)


def _inside(name: str) -> PurePosixPath:
    """The path of a file in a zip, without a drive or root that it may begin with."""
    path = PurePosixPath(_DRIVE.sub("", name.replace("\\", "/"), count=1))
    if ".." in path.parts:
        raise UnreadableScan(
            "a path in the zip climbs out of it (..); pack the scans again, from the "
            "folder that holds them"
        )
    return path


def _entry(
    archive: zipfile.ZipFile,
    shown: dict[PurePosixPath, zipfile.ZipInfo],
    path: PurePosixPath,
) -> Entry:
    info = shown[path]

    def beside(name: str) -> Entry | None:
        other = path.parent / name
        known = other.name == name and other in shown
        return _entry(archive, shown, other) if known else None

    def size() -> int:
        return info.file_size

    return Entry(str(path), partial(archive.open, info), size, path.name, beside)


def _check_directory(source: Path | BinaryIO) -> None:
    """Refuses a directory that is too long, since zipfile reads it whole.

    Raises:
        UnreadableScan: above the limit.
    """
    with reading():
        if isinstance(source, Path):
            with source.open("rb") as stream:
                end = _end_of(stream)
        else:
            end = _end_of(source)
    claimed = _directory_bytes(end)
    if claimed > _files.MAX_FILES * _LINE:
        raise UnreadableScan(
            f"the zip's directory claims {claimed} bytes, more than "
            f"{_files.MAX_FILES} files need; pack one study at a time"
        )


def _end_of(stream: IO[bytes]) -> bytes:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _LONGEST_END))
    end = stream.read()
    stream.seek(0)
    return end


def _directory_bytes(end: bytes) -> int:
    """What the records at the end of a zip claim; 0 where there are none."""
    at = end.rfind(_END)
    if at < 0 or len(end) < at + 22:
        return 0
    (claimed,) = struct.unpack_from("<L", end, at + 12)
    if end[max(0, at - 20) : at].startswith(_LOCATOR) and at >= 76:
        record = end[at - 76 : at - 20]
        if record.startswith(_END_64):
            (claimed,) = struct.unpack_from("<Q", record, 40)
    return int(claimed)
