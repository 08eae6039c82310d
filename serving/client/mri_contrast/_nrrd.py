"""Reads NRRD files: attached and detached; raw, gzip and ascii."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast._files import Entry, reading
from mri_contrast._nrrd_header import LONGEST, Header, parse
from mri_contrast._scan import MAX_VOXELS, Scan, too_large
from mri_contrast._unpack import LATEST_START, inflate, raw_span
from mri_contrast._voxels import as_scan, as_voxels, native
from mri_contrast.errors import UnreadableScan

# Numbers as text take a second a million; nobody saves a large volume so.
_MOST_AS_TEXT = 2**24
_LONGEST_NUMBER = 32


def read_nrrd(entry: Entry) -> Scan:
    """Reads one file, or a header (.nhdr) with its data file beside it.

    Returns:
        The first volume, in the file's dtype (8-byte integers given as text: float64).

    Raises:
        UnreadableScan: header senseless, another encoding, colour, the data file
            missing, damaged or cut short.
    """
    with reading(), entry.open() as stream:
        header = parse(stream.read(LONGEST))
    start = 0 if header.data_file else header.end
    source = _data_of(entry, header.data_file) if header.data_file else entry
    # Where further volumes are interleaved, all are read up to the last voxel of one.
    shape = header.sizes[: max(header.spatial) + 1]
    too_large(shape, MAX_VOXELS)
    read = {"raw": _raw, "gzip": _packed, "ascii": _text}[header.encoding]
    voxels = native(read(source, header, start, shape))
    first = tuple(slice(None) if a in header.spatial else 0 for a in range(len(shape)))
    volumes = math.prod(
        n for axis, n in enumerate(header.sizes) if axis not in header.spatial
    )
    i, j, k = (*header.spacing, 1.0)[:3]  # one image: its third axis has no size
    return as_scan(voxels[first], (i, j, k), len(header.sizes), volumes)


def _data_of(entry: Entry, name: str) -> Entry:
    """The file that a detached header names: beside it, nowhere else."""
    if name.split()[0] == "LIST" or re.search(r"%\d*d", name):
        raise UnreadableScan(
            "its voxels lie in several data files; save the scan as one .nrrd file"
        )
    found = entry.beside(name.removeprefix("./"))
    if found is None:
        raise UnreadableScan(
            "the data file that it names is not beside it; give a folder or zip that "
            "holds both, or save the scan as one .nrrd file"
        )
    return found


def _raw(
    entry: Entry, header: Header, start: int, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    size = math.prod(shape) * header.dtype.itemsize
    if header.byte_skip == -1:
        with reading():
            whole = math.prod(header.sizes) * header.dtype.itemsize
            start = max(start, entry.size() - whole)
    else:
        start = _after_lines(entry, header, start) + _skip(header)
    return as_voxels(raw_span(entry, start, size), header.dtype, shape)


def _packed(
    entry: Entry, header: Header, start: int, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    size = math.prod(shape) * header.dtype.itemsize
    start, skip = _after_lines(entry, header, start), _skip(header)
    with reading(), entry.open() as stream:
        stream.seek(start)
        content = inflate(stream, skip + size)[skip:]
    return as_voxels(content, header.dtype, shape)


def _after_lines(entry: Entry, header: Header, start: int) -> int:
    """Where the lines end that stand before the data."""
    if header.line_skip == 0:
        return start
    lines: list[bytes] = []
    if 0 < header.line_skip <= LATEST_START:
        with reading(), entry.open() as stream:
            stream.seek(start)
            lines = stream.read(LATEST_START).split(b"\n", header.line_skip)
    if len(lines) <= header.line_skip or not lines:
        raise UnreadableScan(
            f"its header says to skip {header.line_skip} lines, which are not there; "
            "save the scan again"
        )
    return start + sum(len(line) + 1 for line in lines[:-1])


def _skip(header: Header) -> int:
    if not 0 <= header.byte_skip <= LATEST_START:
        raise UnreadableScan(
            f"its header says to skip {header.byte_skip} bytes; 0 to {LATEST_START} "
            "are skipped, and -1 with raw data; save the scan again"
        )
    return header.byte_skip


def _text(
    entry: Entry, header: Header, start: int, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    count = math.prod(shape)
    too_large(shape, _MOST_AS_TEXT)
    start = _after_lines(entry, header, start) + _skip(header)
    with reading(), entry.open() as stream:
        stream.seek(start)
        text = stream.read(count * _LONGEST_NUMBER)
    numbers = (float(word[0]) for word in re.finditer(rb"[^\s,]+", text))
    try:
        values = np.fromiter(numbers, np.float64, count)
    except ValueError:
        raise UnreadableScan(
            f"its data are not the {count} numbers that its header says; save it again"
        ) from None
    return _in_range(values, header.dtype).reshape(shape, order="F")


def _in_range(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if dtype.kind == "f" or dtype.itemsize == 8:
        with np.errstate(over="ignore"):
            return values.astype(dtype if dtype.kind == "f" else np.float64)
    limits = np.iinfo(dtype)
    if not ((values >= limits.min) & (values <= limits.max)).all():
        raise UnreadableScan(
            f"its data hold numbers that are no {dtype}; save it again"
        )
    return values.astype(dtype)
