"""Opens DICOM files: silence, damage, and the limit on what is unpacked."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Iterator
from typing import IO, Any

from mri_contrast._files import MAX_BYTES, Entry
from mri_contrast._quiet import quiet
from mri_contrast.errors import UnreadableScan

_DEFLATED = "1.2.840.10008.1.2.1.99"
# What a file begins with whose dataset is written plainly, explicit and little-endian.
_PLAIN = bytes(128) + b"DICM\2\0\x10\0UI\x14\0001.2.840.10008.1.2.1\0"


def import_pydicom() -> Any:
    """The library; raises UnreadableScan saying how to install it."""
    try:
        import pydicom
    except ImportError:
        raise UnreadableScan(
            'reading DICOM needs pydicom: pip install "mri-contrast[dicom]"'
        ) from None
    return pydicom


@contextlib.contextmanager
def parsing() -> Iterator[None]:
    """Turns what pydicom raises on damaged files into UnreadableScan, in silence."""
    with quiet():
        try:
            yield
        except UnreadableScan:
            raise
        except Exception:  # pydicom documents no closed set; header text may be in it
            raise UnreadableScan("the DICOM file is damaged; export it again") from None


def open_dicom(entry: Entry) -> IO[bytes]:
    """Opens a file for pydicom; a deflated one is unpacked here, within the limit.

    pydicom would unpack it whatever its size.

    Raises:
        UnreadableScan: longer than `MAX_BYTES`, packed or not.
    """
    entry.not_above(MAX_BYTES)
    stream = entry.open()
    if _syntax(stream) != _DEFLATED:
        stream.seek(0)
        return stream
    with stream:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        content = unpacker.decompress(stream.read(), MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UnreadableScan(
            f"the deflated DICOM file unpacks to more than {MAX_BYTES} bytes; export "
            "it again, uncompressed"
        )
    if not unpacker.eof:
        raise UnreadableScan("the DICOM file is cut short; export it again")
    return io.BytesIO(_PLAIN + content)


def _syntax(stream: IO[bytes]) -> str:
    """The transfer syntax, found as pydicom finds it; leaves the stream behind it."""
    from pydicom.filereader import read_dataset, read_preamble

    read_preamble(stream, force=True)
    start = stream.tell()
    for implicit in (False, True):  # some old files have an implicit header
        stream.seek(start)
        meta = read_dataset(stream, implicit, True, stop_when=_after_group_2)
        try:
            return str(meta.get("TransferSyntaxUID", ""))
        except NotImplementedError:
            continue
    return ""


def _after_group_2(tag: Any, vr: str | None, length: int) -> bool:
    return bool(tag >> 16 != 2)
