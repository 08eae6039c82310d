"""Reads the bytes of voxels, never more of them than was asked for."""

from __future__ import annotations

import zlib
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mri_contrast._files import Entry, reading
from mri_contrast._kinds import is_gzip
from mri_contrast.errors import UnreadableScan

Bytes = npt.NDArray[np.uint8]

LATEST_START = 2**20
"""Header extensions (a DICOM header, an AFNI history) put some 100 kB before the
voxels. A damaged offset would ask for terabytes, or inflate a gzip bomb."""

# Inflating in pieces of this size is 20 % faster than gzip.open, and stops after
# the first volume of a long 4-D file.
_PIECE = 2**17
# bgzip packs 64 KiB a member: 4 GiB have 65 536. Each costs time, even an empty one.
_MOST_MEMBERS = 2**18


def read_span(entry: Entry, start: int, size: int) -> Bytes:
    """Reads `size` bytes from byte `start` on, unpacked where the file is gzip.

    Raises:
        UnreadableScan: the file is damaged or cut short.
    """
    if not is_gzip(entry.head()):
        return raw_span(entry, start, size)
    with reading(), entry.open() as stream:
        return inflate(stream, start + size)[start:]


def raw_span(entry: Entry, start: int, size: int) -> Bytes:
    """Reads `size` bytes from byte `start` on, as they are.

    Raises:
        UnreadableScan: the file is cut short.
    """
    with reading(), entry.open() as stream:
        _whole(entry.size(), start + size)
        stream.seek(start)
        content = stream.read(size)
    _whole(start + len(content), start + size)
    return np.frombuffer(content, np.uint8)


def _whole(got: int, needed: int) -> None:
    if got < needed:
        raise UnreadableScan(
            f"the file is cut short: {got} of {needed} bytes; copy it again"
        )


def inflate(stream: IO[bytes], size: int) -> Bytes:
    """Unpacks the first `size` bytes of gzip data; tests its checksum at its end.

    Memory is touched as the bytes come, so that a claim alone takes none.

    Raises:
        UnreadableScan: what was read is damaged, or its end is missing.
    """
    room = np.empty(size, np.uint8)
    got, members = 0, 1
    inflater = zlib.decompressobj(31)
    try:
        while got <= size and (packed := stream.read(_PIECE)):
            while packed and got <= size:
                if inflater.eof:  # bgzip writes one member after the other
                    inflater, members = zlib.decompressobj(31), members + 1
                piece: Any = inflater.decompress(packed, size - got + 1)
                end = min(got + len(piece), size)
                room[got:end] = np.frombuffer(piece, np.uint8, end - got)
                got += len(piece)
                # What is left are further members, or zeros: the padding of tapes.
                packed = inflater.unconsumed_tail or inflater.unused_data.lstrip(b"\0")
                if members > _MOST_MEMBERS:
                    raise zlib.error
    except zlib.error:
        raise UnreadableScan("the gzip data is damaged; copy the file again") from None
    if got <= size and not inflater.eof:
        raise UnreadableScan("the gzip file is cut short; copy it again")
    _whole(got, size)
    return room
