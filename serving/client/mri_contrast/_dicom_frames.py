"""The frames of one DICOM file: headers only, no pixels and no private data."""

from __future__ import annotations

import dataclasses
import io
import math
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mri_contrast._dicom_file import import_pydicom, open_dicom, parsing
from mri_contrast._files import Entry
from mri_contrast._scan import MAX_VOXELS, too_large
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
# A frame has 8 bytes at least: the head of its fragment, or 8 pixels.
_LEAST_BYTES = 8


class NoImage(UnreadableScan):
    """A report, a directory, a plan: nothing is wrong with it."""


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


def frames_of(entry: Entry) -> list[Frame]:
    """The frames of one file.

    Raises:
        NoImage: it holds none.
        UnreadableScan: damaged, too large or in colour.
    """
    pydicom = import_pydicom()
    with parsing(), open_dicom(entry) as stream:
        header = pydicom.dcmread(
            stream, force=True, stop_before_pixels=True, specific_tags=_TAGS
        )
        if "Rows" not in header or "Columns" not in header:
            raise NoImage("the DICOM file holds no image; give an MRI series")
        if int(header.get("SamplesPerPixel", 1) or 1) != 1 or not str(
            header.get("PhotometricInterpretation", "MONOCHROME2")
        ).startswith("MONOCHROME"):
            raise UnreadableScan(
                "its DICOM images are in colour; give the grey series itself"
            )
        count = int(header.get("NumberOfFrames", 1) or 1)
        shape = (int(header.Rows), int(header.Columns))
        _check_sides(shape, count, stream)
        return _frames(entry, header, shape, count)


def _check_sides(shape: tuple[int, int], count: int, stream: IO[bytes]) -> None:
    if min(*shape, count) < 1:
        raise UnreadableScan(
            f"its header claims {count} frames of {shape[0]}x{shape[1]} pixels; export "
            "it again"
        )
    too_large((*shape, count), MAX_VOXELS, longest=MAX_VOXELS)
    if count > 1 and count * _LEAST_BYTES > (size := stream.seek(0, io.SEEK_END)):
        raise UnreadableScan(
            f"its header claims {count} frames in {size} bytes; copy it again"
        )


def _frames(
    entry: Entry, header: Any, shape: tuple[int, int], count: int
) -> list[Frame]:
    """Frames with attributes of their own one by one, the others all alike."""
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = list(header.get("SharedFunctionalGroupsSequence") or [])[:1]
    first = int(header.get("InstanceNumber") or 0) * count
    alike = _frame(entry, header, shared, shape, count)
    return [
        dataclasses.replace(
            _frame(entry, header, [own[index], *shared], shape, count)
            if index < len(own)
            else alike,
            index=index,
            order=first + index,
        )
        for index in range(count)
    ]


def _frame(
    entry: Entry, header: Any, groups: list[Any], shape: tuple[int, int], count: int
) -> Frame:
    def get(name: str) -> Any:
        return _value(header, groups, name)

    spacing = _floats(get("PixelSpacing"), 2)
    number = header.get("SeriesNumber")
    slope, intercept = get("RescaleSlope"), get("RescaleIntercept")
    echo = get("EffectiveEchoTime") or header.get("EchoTime")
    return Frame(
        entry=entry,
        index=0,
        frames=count,
        shape=shape,
        key=(str(header.get("SeriesInstanceUID", "")), _echo(echo)),
        number=None if number is None else int(number),
        order=0,
        orientation=_floats(get("ImageOrientationPatient"), 6),
        position=_floats(get("ImagePositionPatient"), 3),
        spacing=(None, None) if spacing is None else (spacing[0], spacing[1]),
        step=_number(get("SpacingBetweenSlices") or get("SliceThickness")),
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


def _value(header: Any, groups: list[Any], name: str) -> Any:
    """An attribute of one frame: its own, else the shared one, else the file's."""
    for group in groups:
        macro = group.get(_MACROS[name])
        if macro and macro[0].get(name) is not None:
            return macro[0].get(name)
    return header.get(name)


def _echo(value: Any) -> float | None:
    echo = None if value is None else round(float(value), 2)
    return None if echo is None or math.isnan(echo) else echo  # NaN equals nothing


def _number(value: Any) -> float | None:
    """One number; None where there is none, or where there are several."""
    try:
        return float(value) or None
    except (TypeError, ValueError):
        return None


def _floats(values: Any, count: int) -> npt.NDArray[Any] | None:
    if values is None or isinstance(values, (int, float, str)) or len(values) != count:
        return None
    found = np.array([float(v) for v in values])
    return found if np.isfinite(found).all() else None
