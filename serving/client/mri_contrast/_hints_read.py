"""Reads hints: DICOM headers, BIDS sidecars and names, NIfTI headers; no pixels."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast._files import Entry, entries_of, reading
from mri_contrast._kinds import kind_of, unzipped_head
from mri_contrast._scan import Scan
from mri_contrast.errors import UnreadableScan
from mri_contrast.hints import Hints
from mri_contrast.scans import Source

_TEXTS = ("SeriesDescription", "ProtocolName", "SequenceName")
_TIMES = ("RepetitionTime", "EchoTime", "InversionTime")
_TAGS = [*_TEXTS, *_TIMES, "ImageOrientationPatient", "SeriesNumber", "Rows"]
_SHARED = ["SharedFunctionalGroupsSequence"]
# A sidecar of dcm2niix has 5 kB; with all slice timings of a long run 100 kB.
_LARGEST_SIDECAR = 2**20

HintsOf = Callable[["str | None"], Hints]
"""From the name of a part, as `find_parts` names it, to its hints."""


def hints_of(source: Source) -> HintsOf:
    """Looks for what is said of the parts of a source, when it is first asked for.

    Hints are a courtesy: what cannot be read says nothing. Whether the scan itself can
    be read is for its reader to tell.
    """
    if isinstance(source, (Scan, np.ndarray)):
        return lambda _: Hints()
    found: list[_Said] = []

    def of(part: str | None) -> Hints:
        if not found:
            found.append(_Said(entries_of(source)))
        return found[0].of(part)

    return of


class _Said:
    """Files of one source, and the DICOM headers among them once they are needed."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._by_name = {entry.name: entry for entry in entries}
        self._series: dict[str, Hints] | None = None

    def of(self, part: str | None) -> Hints:
        if part is None:
            return next(filter(None, map(self._read, self._entries)), Hints())
        if part in self._by_name:
            return self._read(self._by_name[part]) or Hints()
        if self._series is None:
            self._series = _series(self._entries)
        return self._series.get(part.partition(", part")[0], Hints())

    def _read(self, entry: Entry) -> Hints | None:
        """None where the file is no scan with a header."""
        kind = _kind(entry)
        if kind == "dicom":
            header = _dicom_header(entry)
            return None if header is None or "Rows" not in header else _dicom(header)
        if kind in ("nifti", "pair"):
            return _nifti(entry, self._sidecar(entry))
        return None

    @staticmethod
    def _sidecar(entry: Entry) -> dict[str, Any]:
        """The JSON beside an image, as BIDS and dcm2niix write it; else empty."""
        beside = entry.beside(f"{_stem(entry.file)}.json")
        if beside is None:
            return {}
        try:
            with reading(), beside.open() as stream:
                read = json.loads(stream.read(_LARGEST_SIDECAR))
        except (UnreadableScan, ValueError):
            return {}
        return read if isinstance(read, dict) else {}


def _kind(entry: Entry) -> str | None:
    try:
        return kind_of(entry.head())
    except UnreadableScan:
        return None


def _stem(name: str) -> str:
    return re.sub(r"(\.nii|\.hdr|\.img)?(\.gz)?$", "", name)


def _nifti(entry: Entry, sidecar: dict[str, Any]) -> Hints:
    head, stem = unzipped_head(entry.head()), _stem(entry.file)
    times = [_number(sidecar.get(name)) for name in _TIMES]  # BIDS: in seconds
    described, axial = _nifti_header(head)
    repetition, echo, inversion = [
        described.get(key) if seconds is None else seconds * 1000
        for key, seconds in zip(("TR", "TE", "TI"), times, strict=True)
    ]
    return Hints(
        repetition,
        echo,
        inversion,
        texts=tuple(str(sidecar[name]) for name in _TEXTS if sidecar.get(name)),
        suffix=stem.rpartition("_")[2] if stem.startswith("sub-") else None,
        axial=axial,
    )


def _nifti_header(head: bytes) -> tuple[dict[str, float], int | None]:
    """Times in ms that dcm2niix or SPM left in `descrip`, and the axial axis."""
    nibabel: Any
    try:
        import nibabel
    except ImportError:  # then its reader says so
        return {}, None
    new = head[4:8] == b"n+2\0"
    kind, size = (nibabel.Nifti2Header, 540) if new else (nibabel.Nifti1Header, 348)
    try:
        header = kind(head[:size], check=False)
        text = bytes(header["descrip"]).decode("ascii", "ignore")
        known = bool(header["qform_code"] > 0 or header["sform_code"] > 0)
        axial = _axial(header.get_best_affine()[:3, :3]) if known else None
    except (nibabel.spatialimages.HeaderDataError, nibabel.wrapstruct.WrapStructError):
        return {}, None
    found = re.findall(r"\b(TR|TE|TI)=(\d+(?:\.\d+)?)", text)
    return {name: float(value) for name, value in found if float(value) > 0}, axial


def _axial(directions: npt.NDArray[Any]) -> int | None:
    """Which of three axes (columns, patient's x, y, z) runs most from feet to head."""
    lengths = np.linalg.norm(directions, axis=0)
    if not np.isfinite(lengths).all() or lengths.min() == 0:
        return None
    return int(np.abs(directions[2] / lengths).argmax())


def _series(entries: Sequence[Entry]) -> dict[str, Hints]:
    """Hints by the names that `find_parts` gives series; times where all files agree.

    A series that was split by echo time has several, and then none counts.
    """
    found: dict[str, list[Hints]] = {}
    for entry in entries:
        if _kind(entry) != "dicom":
            continue
        header = _dicom_header(entry)
        if header is None or "Rows" not in header:
            continue
        number = header.get("SeriesNumber")
        name = "series without number" if number is None else f"series {number}"
        hints = _dicom(header)
        if hints not in found.setdefault(name, []):
            found[name].append(hints)
    return {name: _common(all_of_it) for name, all_of_it in found.items()}


def _common(found: Sequence[Hints]) -> Hints:
    names = ("repetition", "echo", "inversion", "texts", "axial")
    values = {name: {getattr(hints, name) for hints in found} for name in names}
    return Hints(**{k: v.pop() for k, v in values.items() if len(v) == 1})


def _dicom_header(entry: Entry) -> Any:
    """The few attributes that count; None where they cannot be read."""
    from mri_contrast._dicom_file import import_pydicom, open_dicom, parsing

    try:
        pydicom = import_pydicom()
        with parsing(), open_dicom(entry) as stream:
            return pydicom.dcmread(
                stream,
                force=True,
                stop_before_pixels=True,
                specific_tags=[*_TAGS, *_SHARED],
            )
    except UnreadableScan:
        return None


def _dicom(header: Any) -> Hints:
    """In ms already; enhanced files keep times and orientation in shared groups."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]

    def get(name: str, macro: str, inner: str) -> Any:
        if header.get(name) is not None or shared is None:
            return header.get(name)
        group = shared.get(macro)
        return group[0].get(inner) if group else None

    timing = "MRTimingAndRelatedParametersSequence"
    orientation = get(
        "ImageOrientationPatient", "PlaneOrientationSequence", "ImageOrientationPatient"
    )
    return Hints(
        _number(get("RepetitionTime", timing, "RepetitionTime")),
        _number(get("EchoTime", "MREchoSequence", "EffectiveEchoTime")),
        _number(get("InversionTime", "MRModifierSequence", "InversionTimes")),
        texts=tuple(str(header[n].value) for n in _TEXTS if header.get(n)),
        axial=_dicom_axial(orientation),
    )


def _dicom_axial(orientation: Any) -> int | None:
    """Voxels are (rows, columns, slices); the first three cosines run along a row."""
    try:
        cosines = [float(value) for value in orientation]
    except (TypeError, ValueError):  # there is none, or an empty one
        return None
    if len(cosines) != 6:
        return None
    along_row, along_column = np.array(cosines[:3]), np.array(cosines[3:])
    normal = np.cross(along_row, along_column)
    return _axial(np.stack([along_column, along_row, normal], axis=1))


def _number(value: Any) -> float | None:
    """A finite positive number; zero stands for unknown or none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
