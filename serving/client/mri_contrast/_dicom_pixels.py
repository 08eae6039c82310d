"""Reads the pixels of a DICOM series and puts its slices in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast._dicom import Frame, import_pydicom, parsing
from mri_contrast._files import Entry
from mri_contrast._scan import MAX_VOXELS, Scan, known_spacing, too_large
from mri_contrast.errors import UnreadableScan

# What decoding needs, and no more.
_TAGS = [
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "DoubleFloatPixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "FloatPixelData",
    "HighBit",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelData",
    "PixelRepresentation",
    "PlanarConfiguration",
    "Rows",
    "SamplesPerPixel",
]
# Two slices nearer than this (mm) are at one position: no scanner steps so little.
_SAME_PLACE = 1e-2


def read_frames(frames: Sequence[Frame]) -> Scan:
    """Reads the frames of one series.

    Returns:
        `(rows, columns, slices)` voxels, sorted along the slice normal where positions
        are known, else by instance number; of the stored dtype unless the header
        rescales them, then float32. MONOCHROME1 is inverted: more is brighter.

    Raises:
        UnreadableScan: damaged, cut short, too large, or compressed in a way that no
            installed decoder reads.
    """
    places = [_place(frame) for frame in frames]
    notes: tuple[str, ...] = ()
    step = frames[0].step
    if None in places:
        slices = sorted(frames, key=lambda frame: frame.order)
    else:
        known = [p for p in places if p is not None]
        slices, places_used = _first_at_each_place(frames, known)
        if len(slices) < len(frames):
            images = -(-len(frames) // len(slices))
            notes = (f"{images} images at each position: the first used",)
        if len(slices) > 1:
            gaps = np.diff(places_used)
            step = float(np.median(gaps))
            if gaps.max() > 1.5 * step:
                notes = (*notes, "slices are missing or unevenly spaced")
    spacing, assumed = known_spacing((*slices[0].spacing, step))
    return Scan(_voxels(slices), spacing, (*notes, *assumed))


def _place(frame: Frame) -> float | None:
    """Where the slice lies along its normal, in mm."""
    if frame.position is None or frame.orientation is None:
        return None
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    return float(frame.position @ normal)


def _first_at_each_place(
    frames: Sequence[Frame], places: Sequence[float]
) -> tuple[list[Frame], list[float]]:
    """Sorts by place, and by order within a place, and keeps the first of each."""
    slices: list[Frame] = []
    used: list[float] = []
    at: list[tuple[float, Frame]] = sorted(
        zip(places, frames, strict=True), key=lambda pair: pair[0]
    )
    for place, frame in at:
        if not used or place - used[-1] > _SAME_PLACE:
            slices.append(frame)
            used.append(place)
        elif frame.order < slices[-1].order:
            slices[-1] = frame
    return slices, used


def _voxels(slices: Sequence[Frame]) -> npt.NDArray[Any]:
    """`(rows, columns, slices)` from the files, each decoded once in a row."""
    too_large((*slices[0].shape, len(slices)), MAX_VOXELS)
    images: list[npt.NDArray[Any]] = []
    entry, pixels = None, np.empty(0)
    for frame in slices:
        if frame.entry is not entry:
            entry, pixels = frame.entry, _decode(frame.entry)
        stored = pixels.reshape(frame.frames, *frame.shape)[frame.index]
        images.append(_rescaled(stored, frame))
    volume = np.stack(images, axis=-1)
    return _inverted(volume) if slices[0].inverted else volume


def _decode(entry: Entry) -> npt.NDArray[Any]:
    pydicom = import_pydicom()
    with parsing(), entry.open() as stream:
        dataset = pydicom.dcmread(stream, force=True, specific_tags=_TAGS)
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            dataset.file_meta.TransferSyntaxUID = (
                pydicom.uid.ImplicitVRLittleEndian
                if implicit
                else pydicom.uid.ExplicitVRLittleEndian
                if little
                else pydicom.uid.ExplicitVRBigEndian
            )
        syntax = dataset.file_meta.TransferSyntaxUID
        if not pydicom.pixels.get_decoder(syntax).is_available:
            raise _no_decoder(syntax)
        try:
            decoded: npt.NDArray[Any] = dataset.pixel_array
        except RuntimeError:  # the decoders there are refuse this kind, as 12-bit JPEG
            raise _no_decoder(syntax) from None
        return decoded


def _no_decoder(syntax: Any) -> UnreadableScan:
    return UnreadableScan(
        f"its pixels are compressed ({syntax.name}) and no decoder here reads them: "
        "pip install pylibjpeg pylibjpeg-libjpeg, or decompress them first"
    )


def _rescaled(stored: npt.NDArray[Any], frame: Frame) -> npt.NDArray[Any]:
    if not stored.dtype.isnative:
        stored = stored.astype(stored.dtype.newbyteorder("="))
    if (frame.slope, frame.intercept) == (1.0, 0.0):
        return stored
    scaled: npt.NDArray[Any] = stored.astype(np.float32)
    scaled *= frame.slope
    scaled += frame.intercept
    return scaled


def _inverted(volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turns dark into bright; the brightest becomes 0."""
    if volume.dtype.kind == "i":  # the range of a signed type need not fit into it
        volume = volume.astype(np.int64)
    inverted: npt.NDArray[Any] = volume.max() - volume
    return inverted
