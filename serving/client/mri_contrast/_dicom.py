"""Finds the series in DICOM files: headers only, no pixels and no private data."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast._files import Entry
from mri_contrast._scan import MAX_VOXELS, Part, too_large
from mri_contrast.errors import UnreadableScan

# All that is ever parsed: nothing about the patient, nothing private.
_TAGS = [
    "Columns",
    "EchoTime",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "InstanceNumber",
    "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence",
    "PhotometricInterpretation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SamplesPerPixel",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SharedFunctionalGroupsSequence",
    "SliceThickness",
    "SpacingBetweenSlices",
]
# Direction cosines of one series differ by rounding only; 0.001 is 0.06 degrees.
_SAME_DIRECTION = 1e-3
_SILENCE = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a DICOM file, before its pixels are read.

    Attributes:
        entry: the file; `index` is the frame in it, of `frames`.
        shape: rows and columns.
        key: what all frames of a series share.
        number: the series' number, if it has one.
        order: place in the series where positions are unknown.
        orientation: `(6,)` direction cosines of rows and columns, or None.
        position: `(3,)` centre of the first pixel in mm, or None.
        spacing: mm between rows, between columns; None where unknown.
        step: mm between slices as the header says, None where it does not.
        slope: with `intercept`, the rescaling of stored values.
        inverted: MONOCHROME1, where low values are bright.
    """

    entry: Entry
    index: int
    frames: int
    shape: tuple[int, int]
    key: tuple[object, ...]
    number: int | None
    order: int
    orientation: npt.NDArray[Any] | None
    position: npt.NDArray[Any] | None
    spacing: tuple[float | None, float | None]
    step: float | None
    slope: float
    intercept: float
    inverted: bool


def find_series(entries: list[Entry]) -> list[Part]:
    """Groups files into series; files without an image (reports, DICOMDIR) are passed.

    A series is split where shape, orientation or echo time differ, since its parts
    then differ in plane or contrast.

    Raises:
        UnreadableScan: pydicom is missing; or the only file given is damaged or
            holds no grey image.
    """
    from mri_contrast._dicom_pixels import read_frames

    frames: list[Frame] = []
    for entry in entries:
        try:
            frames += _frames(entry)
        except UnreadableScan:
            if len(entries) == 1:
                raise
    groups = _groups(frames)
    names = [
        "series without number" if g[0].number is None else f"series {g[0].number}"
        for g in groups
    ]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    seen: Counter[str] = Counter()
    parts = []
    for name, group in zip(names, groups, strict=True):
        seen[name] += 1
        full = f"{name}, part {seen[name]}" if name in repeated else name
        parts.append(Part(full, partial(read_frames, group)))
    return parts


def _groups(frames: list[Frame]) -> list[list[Frame]]:
    groups: dict[tuple[object, ...], list[list[Frame]]] = {}
    for frame in frames:
        alike = groups.setdefault((frame.key, frame.shape), [])
        for group in alike:
            if _same_direction(group[0].orientation, frame.orientation):
                group.append(frame)
                break
        else:
            alike.append([frame])
    found = [group for alike in groups.values() for group in alike]
    return sorted(found, key=lambda g: (g[0].number is None, g[0].number or 0))


def _same_direction(a: npt.NDArray[Any] | None, b: npt.NDArray[Any] | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.abs(a - b).max() < _SAME_DIRECTION)


@contextlib.contextmanager
def parsing() -> Iterator[None]:
    """Turns what pydicom raises on damaged files into UnreadableScan.

    Its warnings and its log are silenced, since they quote values of the header; one
    thread at a time, since both switches are the whole process's. That costs little:
    pydicom is Python, and holds the interpreter anyway.
    """
    log = logging.getLogger("pydicom")
    with _SILENCE:
        was_disabled, log.disabled = log.disabled, True
        try:
            with warnings.catch_warnings(), _damage():
                warnings.simplefilter("ignore")
                yield
        finally:
            log.disabled = was_disabled


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except UnreadableScan:
        raise
    except Exception:  # pydicom documents no closed set, and header text may be in it
        raise UnreadableScan("the DICOM file is damaged; export it again") from None


def _frames(entry: Entry) -> list[Frame]:
    """The frames of one file; none where it holds no image.

    Raises:
        UnreadableScan: damaged, or in colour.
    """
    pydicom = import_pydicom()
    with parsing(), entry.open() as stream:
        header = pydicom.dcmread(
            stream, force=True, stop_before_pixels=True, specific_tags=_TAGS
        )
        if "Rows" not in header or "Columns" not in header:
            raise UnreadableScan("the DICOM file holds no image; give an MRI series")
        if int(header.get("SamplesPerPixel", 1) or 1) != 1 or not str(
            header.get("PhotometricInterpretation", "MONOCHROME2")
        ).startswith("MONOCHROME"):
            raise UnreadableScan(
                "its DICOM images are in colour; give the grey series itself"
            )
        count = int(header.get("NumberOfFrames", 1) or 1)
        too_large((int(header.Rows), int(header.Columns), count), MAX_VOXELS)
        return [_frame(entry, header, index, count) for index in range(count)]


def import_pydicom() -> Any:
    """The library; raises UnreadableScan saying how to install it."""
    try:
        import pydicom
    except ImportError:
        raise UnreadableScan(
            'reading DICOM needs pydicom: pip install "mri-contrast[dicom]"'
        ) from None
    return pydicom


def _frame(entry: Entry, header: Any, index: int, count: int) -> Frame:
    def get(name: str) -> Any:
        return _value(header, index, name)

    spacing = _floats(get("PixelSpacing"), 2)
    number = header.get("SeriesNumber")
    slope, intercept = get("RescaleSlope"), get("RescaleIntercept")
    echo = get("EffectiveEchoTime") or header.get("EchoTime")
    return Frame(
        entry=entry,
        index=index,
        frames=count,
        shape=(int(header.Rows), int(header.Columns)),
        key=(
            str(header.get("SeriesInstanceUID", "")),
            None if echo is None else round(float(echo), 2),
        ),
        number=None if number is None else int(number),
        order=int(header.get("InstanceNumber") or 0) * count + index,
        orientation=_floats(get("ImageOrientationPatient"), 6),
        position=_floats(get("ImagePositionPatient"), 3),
        spacing=(None, None) if spacing is None else (spacing[0], spacing[1]),
        step=get("SpacingBetweenSlices") or get("SliceThickness") or None,
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if intercept is None else float(intercept),
        inverted=header.get("PhotometricInterpretation") == "MONOCHROME1",
    )


# Where the attributes are in enhanced multi-frame files (PS3.3 C.7.6.16).
_MACROS = {
    "EffectiveEchoTime": "MREchoSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "ImagePositionPatient": "PlanePositionSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
}


def _value(header: Any, index: int, name: str) -> Any:
    """An attribute of one frame: its own, else the shared one, else the file's."""
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    for group in [*own[index : index + 1], *shared[:1]]:
        macro = group.get(_MACROS[name])
        if macro and macro[0].get(name) is not None:
            return macro[0].get(name)
    return header.get(name)


def _floats(values: Any, count: int) -> npt.NDArray[Any] | None:
    if values is None or isinstance(values, (int, float, str)) or len(values) != count:
        return None
    found = np.array([float(v) for v in values])
    return found if np.isfinite(found).all() else None
