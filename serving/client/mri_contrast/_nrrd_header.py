"""Parses the header of a NRRD file (https://teem.sourceforge.net/nrrd/format.html).

Only the fields that voxels and spacing need; keys and values, which may hold what a
scanner wrote about a patient, are passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from mri_contrast._voxels import first_volume
from mri_contrast.errors import UnreadableScan

LONGEST = 2**20
"""Headers with all fields of a DICOM series in keys and values have some 100 kB."""

_MOST_AXES = 16  # the format's own limit
_LARGEST = 2**31 - 1
_TYPES = {
    r"signed char|int8(?:_t)?": "i1",
    r"uchar|unsigned char|uint8(?:_t)?": "u1",
    r"(?:signed )?short(?: int)?|int16(?:_t)?": "i2",
    r"ushort|unsigned short(?: int)?|uint16(?:_t)?": "u2",
    r"(?:signed )?int|int32(?:_t)?": "i4",
    r"uint|unsigned int|uint32(?:_t)?": "u4",
    r"longlong|(?:signed )?long long(?: int)?|int64(?:_t)?": "i8",
    r"ulonglong|unsigned long long(?: int)?|uint64(?:_t)?": "u8",
    "float": "f4",
    "double": "f8",
}
_ENCODINGS = {
    "raw": "raw",
    **dict.fromkeys(("gz", "gzip"), "gzip"),
    **dict.fromkeys(("txt", "text", "ascii"), "ascii"),
}
_ENDIANS = {"little": "<", "big": ">"}
_MM = {"m": 1e3, "cm": 10.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3}
_SPATIAL = {"domain", "space", "???", "none"}
_STACKED = {"list", "vector", "time", "stub", "scalar"}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Header:
    """What a NRRD header says.

    Attributes:
        sizes: voxels along each axis, the fastest first.
        dtype: of one voxel, with its byte order.
        encoding: raw, gzip or ascii.
        spatial: the two or three axes of a volume; others hold further volumes.
        spacing: mm along `spatial`; None where unknown.
        data_file: name of the file with the voxels; None where they follow.
        line_skip, byte_skip: what stands before the voxels; -1 bytes: they end it.
        end: where the header ends, in bytes.
    """

    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    encoding: str
    spatial: tuple[int, ...]
    spacing: tuple[float | None, ...]
    data_file: str | None
    line_skip: int
    byte_skip: int
    end: int


def parse(content: bytes) -> Header:
    """Parses the first bytes of a file, `LONGEST` of them or all there are.

    Raises:
        UnreadableScan: a field is missing or senseless, or says what is not read. No
            text of the header is repeated.
    """
    fields, end = _fields(content)
    sizes = _of(fields, "sizes", lambda v: tuple(int(n) for n in v.split()))
    if not 2 <= len(sizes) <= _MOST_AXES or min(sizes) < 1 or max(sizes) > _LARGEST:
        raise UnreadableScan(
            f"its {len(sizes)} sizes make no volume; 2 to {_MOST_AXES} are read, each "
            f"from 1 to {_LARGEST}"
        )
    kinds = _kinds(fields, len(sizes))
    spacing = _spacing(fields, len(sizes))
    spatial = _spatial(kinds, spacing)
    dtype = _dtype(fields)
    first_volume(tuple(sizes[axis] for axis in spatial), dtype)
    return Header(
        sizes=sizes,
        dtype=dtype,
        encoding=_of(fields, "encoding", lambda v: _ENCODINGS[v.lower()]),
        spatial=spatial,
        spacing=tuple(_known(spacing[axis]) for axis in spatial),
        data_file=fields.get("datafile"),
        line_skip=_of(fields, "lineskip", int, "0"),
        byte_skip=_of(fields, "byteskip", int, "0"),
        end=end,
    )


def _fields(content: bytes) -> tuple[dict[str, str], int]:
    """Fields by their name in small letters without blanks, and the header's end."""
    found = re.search(rb"\r?\n\r?\n", content)
    if found is None and len(content) >= LONGEST:
        raise UnreadableScan(
            f"its header does not end within {LONGEST} bytes; save the scan again"
        )
    end = len(content) if found is None else found.end()
    fields = {}
    for line in content[:end].decode("utf-8", "replace").splitlines()[1:]:
        name, colon, value = line.partition(": ")
        if colon and not line.startswith("#") and ":=" not in name:
            fields[re.sub(r"[\s_-]", "", name).lower()] = value.strip()
    return fields, end


def _of(
    fields: dict[str, str], name: str, take: Callable[[str], _T], default: str = ""
) -> _T:
    """One field; raises UnreadableScan where it is missing or senseless."""
    try:
        return take(fields.get(name, default))
    except (KeyError, ValueError, IndexError, OverflowError):
        raise UnreadableScan(
            f"its NRRD header has no field {name!r} that is read here; save the scan "
            "as .nrrd with encoding raw, gzip or ascii, or as .nii.gz"
        ) from None


def _dtype(fields: dict[str, str]) -> np.dtype[Any]:
    dtype = np.dtype(_of(fields, "type", _code))
    as_text = _ENCODINGS.get(fields.get("encoding", "").lower()) == "ascii"
    if dtype.itemsize == 1 or as_text:
        return dtype
    order = _of(fields, "endian", lambda v: _ENDIANS[v.lower()])
    return np.dtype(order + dtype.str[1:])


def _code(spelt: str) -> str:
    words = " ".join(spelt.lower().split())
    for known, code in _TYPES.items():
        if re.fullmatch(known, words):
            return code
    raise KeyError("type")


def _kinds(fields: dict[str, str], axes: int) -> list[str]:
    kinds = fields.get("kinds", "").lower().split()
    kinds = kinds if len(kinds) == axes else ["???"] * axes
    if any("color" in kind for kind in kinds):
        raise UnreadableScan("its voxels are colours; give the grey scan itself")
    if not set(kinds) <= _SPATIAL | _STACKED:
        raise UnreadableScan(
            "its voxels are vectors, matrices or complex numbers; give the grey scan"
        )
    return kinds


def _spacing(fields: dict[str, str], axes: int) -> list[float | None]:
    """Along each axis in mm: NaN where unknown, None for an axis not in space."""
    vectors = re.findall(r"none|\([^)]*\)", fields.get("spacedirections", ""))
    if len(vectors) == axes:
        unit = _scales(fields.get("spaceunits", ""), 1)[0]
        return [None if v == "none" else _length(v[1:-1]) * unit for v in vectors]
    words = fields.get("spacings", "").split()
    if len(words) != axes:
        return [math.nan] * axes
    scales = _scales(fields.get("units", ""), axes)
    return [_float(w) * scale for w, scale in zip(words, scales, strict=True)]


def _scales(units: str, axes: int) -> list[float]:
    """Millimetres in the unit of each axis; mm where none is named."""
    named = re.findall(r'"([^"]*)"', units)[:axes]
    return [_MM.get(unit.strip(), 1.0) for unit in named] + [1.0] * (axes - len(named))


def _length(vector: str) -> float:
    return math.hypot(*map(_float, vector.split(",")))


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _spatial(kinds: list[str], spacing: list[float | None]) -> tuple[int, ...]:
    """The axes of a volume: the first three that are not said to be something else."""
    axes = [
        axis
        for axis, kind in enumerate(kinds)
        if kind not in _STACKED and spacing[axis] is not None
    ]
    if len(axes) > 3:
        sized = [axis for axis in axes if not math.isnan(spacing[axis] or 0)]
        axes = sized if len(sized) >= 3 else axes
    if len(axes) < 2:
        raise UnreadableScan("fewer than two of its axes lie in space; give a volume")
    return tuple(axes[:3])
