"""Finds the two files of a scan whose header and voxels lie apart."""

from __future__ import annotations

import re

from mri_contrast._files import Entry
from mri_contrast._kinds import kind_of, unzipped_head
from mri_contrast.errors import UnreadableScan

_VOXELS = re.compile(r"(.*)\.(img|raw)(\.gz)?", re.IGNORECASE | re.DOTALL)
_HEADER = re.compile(r"(.*)\.(hdr)(\.gz)?", re.IGNORECASE | re.DOTALL)
_HEADERS = {"img": (".hdr", ".hdr.gz"), "raw": (".nhdr",)}


def voxels_beside(entry: Entry) -> Entry:
    """The .img file that belongs to a .hdr file.

    Raises:
        UnreadableScan: the other half is not there.
    """
    if not entry.file:
        raise UnreadableScan(
            "it is half of a .hdr/.img pair; give the path of the .hdr file with the "
            ".img beside it, or convert it to .nii"
        )
    voxels = _voxels_of(entry)
    if voxels is None:
        raise UnreadableScan(
            "the .hdr/.img pair is not complete: one half is missing; give both in one "
            "folder or zip"
        )
    return voxels


def header_of(entry: Entry) -> Entry | None:
    """The header beside a file of bare voxels; None where there is none."""
    named = _VOXELS.fullmatch(entry.file)
    if named is None:
        return None
    stem, ending = named[1], named[2]
    endings = _HEADERS[ending.lower()]
    header = _first_beside(entry, stem, endings, ending.isupper())
    if header is None:
        return None
    kind = kind_of(unzipped_head(header.head()))
    return header if kind in ("pair", "nrrd") else None


def is_lone_half(entry: Entry) -> bool:
    """Tells a lone .img: its content has no mark to know it by."""
    named = _VOXELS.fullmatch(entry.file)
    return named is not None and named[2].lower() == "img"


def _voxels_of(entry: Entry) -> Entry | None:
    named = _HEADER.fullmatch(entry.file)
    if named is None:
        return None
    return _first_beside(entry, named[1], (".img", ".img.gz"), named[2].isupper())


def _first_beside(
    entry: Entry, stem: str, endings: tuple[str, ...], upper: bool
) -> Entry | None:
    for ending in endings:
        found = entry.beside(stem + (ending.upper() if upper else ending))
        if found is not None:
            return found
    return None
