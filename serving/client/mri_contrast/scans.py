"""Reads a scan, whatever holds it: an image, NIfTI, MGH, NRRD, DICOM, folder or zip."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from mri_contrast._files import Entry, entries_of
from mri_contrast._kinds import Kind, kind_of
from mri_contrast._pairs import header_of, is_lone_half
from mri_contrast._scan import MAX_PIXELS, MAX_VOXELS, Part, Scan, too_large
from mri_contrast.errors import UnreadableScan

__all__ = [
    "MAX_PIXELS",
    "MAX_VOXELS",
    "Part",
    "Scan",
    "Source",
    "find_parts",
    "read_scan",
    "read_series",
]

Source: TypeAlias = (
    "str | os.PathLike[str] | bytes | BinaryIO | npt.NDArray[Any] | Scan"
)


def read_scan(source: Source) -> Scan:
    """Reads the one scan that a source holds.

    Args:
        source: a path (file, folder or zip), the bytes of a file, a binary file
            object, a 2-D or 3-D array of real numbers (spacing 1 mm assumed), or a
            `Scan`, returned as it is. Formats are told by content, not by name.

    Raises:
        UnreadableScan: missing, damaged, in no known format, or more than one series
            (the message gives their count; `read_series` reads them all).
        TypeError: `source` is none of the above.
    """
    parts = find_parts(source)
    if len(parts) > 1:
        raise UnreadableScan(
            f"it holds {len(parts)} series; give one of them, or ask for all with "
            "read_series or identify_many"
        )
    return parts[0].read()


def read_series(source: Source) -> list[Scan]:
    """Reads every series of a source; those that cannot be read are left out.

    Returns:
        At least one scan; where series were left out, each scan's notes say so.

    Raises:
        UnreadableScan: no series could be read; the first reason is given.
        TypeError: `source` is of no type that `read_scan` takes.
    """
    scans: list[Scan] = []
    failures: list[UnreadableScan] = []
    for part in find_parts(source):
        try:
            scans.append(part.read())
        except UnreadableScan as error:
            failures.append(error)
    if not scans:
        raise failures[0]
    if not failures:
        return scans
    note = f"{len(failures)} other series could not be read"
    return [dataclasses.replace(s, notes=(*s.notes, note)) for s in scans]


def find_parts(source: Source) -> list[Part]:
    """Lists the series of a source without reading their voxels.

    Returns:
        At least one part; named where there are several: DICOM series by their number,
        files by their name within the folder or zip.

    Raises:
        UnreadableScan: nothing there is a scan.
        TypeError: `source` is of no type that `read_scan` takes.
    """
    if isinstance(source, Scan):
        scan = source
        return [Part(None, lambda: scan)]
    if isinstance(source, np.ndarray):
        return [Part(None, partial(_from_array, source))]
    entries = entries_of(source)
    parts = _parts(entries)
    if not parts:
        raise UnreadableScan(_nothing(entries))
    if len(parts) == 1:
        return [Part(None, parts[0].read)]
    return [Part(part.name, partial(_named, part)) for part in parts]


def _parts(entries: list[Entry]) -> list[Part]:
    """What each file holds; one that fails becomes a part that says so when read."""
    parts: list[Part] = []
    dicom: list[Entry] = []
    for entry in entries:
        try:
            header = header_of(entry)
            if header is not None and entry.name:
                continue  # bare voxels: their header is among the entries
            found = header or entry
            kind = kind_of(found.head())
        except UnreadableScan as error:
            parts.append(Part(entry.name, partial(_fail, error)))
            continue
        if kind is None and not entry.name and is_lone_half(entry):
            kind = "pair"
        if kind == "dicom":
            dicom.append(entry)
        elif (reader := _reader(kind)) is not None:
            parts.append(Part(entry.name, partial(reader, found)))
    return parts + _series(dicom, alone=not parts)


def _series(dicom: list[Entry], alone: bool) -> list[Part]:
    """The series of the DICOM files; reports and the like beside scans are passed."""
    if not dicom:
        return []
    from mri_contrast._dicom import find_series

    try:
        return find_series(dicom)
    except UnreadableScan as error:
        if alone or len(dicom) == 1:
            return [Part(dicom[0].name, partial(_fail, error))]
        return []


def _fail(error: UnreadableScan) -> Scan:
    raise error


def _reader(kind: Kind | None) -> Callable[[Entry], Scan] | None:
    """What reads one file; the formats' libraries are imported when needed only."""
    if kind == "image":
        from mri_contrast._images import read_image

        return read_image
    if kind == "nifti":
        from mri_contrast._nifti import read_nifti

        return read_nifti
    if kind == "pair":
        from mri_contrast._nifti import read_pair

        return read_pair
    if kind == "mgh":
        from mri_contrast._mgh import read_mgh

        return read_mgh
    if kind == "nrrd":
        from mri_contrast._nrrd import read_nrrd

        return read_nrrd
    return None


def _named(part: Part) -> Scan:
    return dataclasses.replace(part.read(), part=part.name)


def _nothing(entries: list[Entry]) -> str:
    known = "PNG, JPEG, TIFF, NIfTI, MGZ, NRRD or DICOM"
    if entries[0].name:
        return f"none of its {len(entries)} files is a scan ({known})"
    if not entries[0].head():
        return "the file is empty; copy it again"
    return f"it is not {known}, nor a zip or folder of them, or it is damaged"


def _from_array(array: npt.NDArray[Any]) -> Scan:
    """Takes `(h, w)` or `(i, j, k)`; booleans become 0 and 1."""
    if array.ndim not in (2, 3):
        raise UnreadableScan(
            f"the array's shape is {array.shape}; give (h, w) or (i, j, k)"
        )
    if array.size:
        too_large(array.shape, array.size)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    return Scan(array[:, :, np.newaxis] if array.ndim == 2 else array)
