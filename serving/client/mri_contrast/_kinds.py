"""Tells a format by the first bytes of a file, never by its name."""

from __future__ import annotations

import zlib
from typing import Literal

Kind = Literal["image", "nifti", "pair", "mgh", "nrrd", "dicom", "zip"]

HEAD = 4096
"""So many bytes are looked at; every format shows itself in fewer than 400."""

_GZIP = b"\x1f\x8b"
_IMAGES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
)
# MGH has no magic number: version 1, then four sides, then one of FreeSurfer's types.
_MGH_VERSION = b"\0\0\0\1"
_MGH_TYPES = range(11)


def kind_of(head: bytes) -> Kind | None:
    """Tells a format by the first bytes of a file; None where it is none we read."""
    if head[128:132] == b"DICM":  # first: its preamble may look like a TIFF
        return "dicom"
    if head.startswith(_IMAGES):
        return "image"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"NRRD000"):
        return "nrrd"
    if is_gzip(head):
        unpacked = unzipped_head(head)  # DICOM is never packed so; its start is free
        return None if unpacked[128:132] == b"DICM" else _volume_kind(unpacked)
    return _volume_kind(head) or ("dicom" if _bare_dicom(head) else None)


def is_gzip(head: bytes) -> bool:
    """Tells whether a file is packed as a whole."""
    return head.startswith(_GZIP)


def unzipped_head(head: bytes) -> bytes:
    """The first bytes of what a file holds: unpacked where it is gzip.

    Returns:
        Empty where the bytes look like gzip and do not unpack.
    """
    if not is_gzip(head):
        return head
    try:
        return zlib.decompressobj(31).decompress(head, HEAD)
    except zlib.error:
        return b""


def _volume_kind(head: bytes) -> Kind | None:
    if head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0":
        return "nifti"
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c"):
        return "pair"  # header sizes 348 and 540: the voxels are in a file beside it
    is_mgh = head.startswith(_MGH_VERSION) and len(head) >= 24
    if is_mgh and int.from_bytes(head[20:24], "big") in _MGH_TYPES:
        return "mgh"
    return None


def _bare_dicom(head: bytes) -> bool:
    """Old DICOM files begin with the first element of group 2 or 8, no preamble."""
    return head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0" and len(head) > 64
