"""What is fuzzed: each target takes any bytes, and may raise nothing.

A target asserts what every reader promises: slices, or `UnreadableScan` with a text
that repeats nothing of a header. Seeds hold `SECRET` where scanners write names.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from functools import partial

from mri_contrast._files import Entry
from mri_contrast._nifti import read_pair
from mri_contrast._nrrd import read_nrrd
from mri_contrast._scan import Part
from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import find_parts
from mri_contrast.slices import cut

SECRET = "SECRET"
_META = bytes(128) + b"DICM\2\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99"
_PAIR_HEADER = 352


def read(content: bytes) -> None:
    """Reads and cuts whatever the bytes hold."""
    try:
        parts = find_parts(content)
    except UnreadableScan as error:
        _check(error)
        return
    for part in parts:
        _cut(part)


def _cut(part: Part) -> None:
    try:
        slices = cut(part.read())
    except UnreadableScan as error:
        _check(error)
        return
    assert slices.shape[1:] == (150, 150), slices.shape
    assert 1 <= len(slices) <= 24, len(slices)


def _check(error: UnreadableScan) -> None:
    assert str(error), "no reason is given"
    assert SECRET not in str(error), "the reason repeats the header"


def packed(content: bytes) -> None:
    """As `read`, of a gzip file: its checksum would hide the header from a fuzzer."""
    read(gzip.compress(content, 1, mtime=0))


def deflated(content: bytes) -> None:
    """As `read`, of a deflated DICOM dataset."""
    packer = zlib.compressobj(1, wbits=-15)
    read(_META + packer.compress(content) + packer.flush())


def _in_memory(file: str, content: bytes, beside: dict[str, bytes]) -> Entry:
    def other(name: str) -> Entry | None:
        known = beside.get(name)
        return None if known is None else _in_memory(name, known, {})

    opened = partial(io.BytesIO, content)
    return Entry(file, opened, partial(len, content), file, other)


def pair(content: bytes) -> None:
    """A .hdr of 352 bytes and an .img: the bytes after them."""
    header, voxels = content[:_PAIR_HEADER], content[_PAIR_HEADER:]
    entry = _in_memory("a.hdr", header, {"a.img": voxels})
    _cut(Part(None, partial(read_pair, entry)))


def detached(content: bytes) -> None:
    """A .nhdr up to the first empty line and a data file: the bytes after it."""
    header, _, voxels = content.partition(b"\n\n")
    entry = _in_memory("a.nhdr", header, {"a.raw": voxels})
    _cut(Part(None, partial(read_nrrd, entry)))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "nifti": read,
    "nifti-packed": packed,
    "gzip": read,
    "pair": pair,
    "mgh": read,
    "nrrd": read,
    "nrrd-detached": detached,
    "dicom": read,
    "dicom-deflated": deflated,
    "image": read,
    "zip": read,
}
