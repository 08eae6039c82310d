"""Reads the pixels of a DICOM series and puts its slices in order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast._dicom_file import import_pydicom, open_dicom, parsing
from mri_contrast._dicom_frames import Frame
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
# Who reads what pydicom and Pillow alone do not, by the beginning of the syntax' name.
_DECODERS = {
    "JPEG-LS": "pylibjpeg pylibjpeg-libjpeg",
    "JPEG 2000": "pylibjpeg pylibjpeg-openjpeg",
    "High-Throughput JPEG 2000": "pylibjpeg pylibjpeg-openjpeg",
    "JPEG": "pylibjpeg pylibjpeg-libjpeg",
}
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
            with np.errstate(over="ignore"):
                gaps = np.diff(places_used)
            step = float(np.median(gaps))
            if gaps.max() > 1.5 * step:
                notes = (*notes, "slices are missing or unevenly spaced")
    spacing, assumed = known_spacing((*slices[0].spacing, step))
    return Scan(_voxels(slices), spacing, (*notes, *assumed))


def _place(frame: Frame) -> float | None:
    """Where the slice lies along its normal, in mm; None where that is unknown."""
    if frame.position is None or frame.orientation is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        normal = np.cross(frame.orientation[:3], frame.orientation[3:])
        place = float(frame.position @ normal)
    return place if math.isfinite(place) else None


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
            entry, pixels = frame.entry, _decode(frame)
        images.append(_rescaled(pixels[frame.index], frame))
    volume = np.stack(images, axis=-1)
    return _inverted(volume) if slices[0].inverted else volume


def _decode(frame: Frame) -> npt.NDArray[Any]:
    """`(frames, rows, columns)` stored values of the file that a frame is in."""
    pydicom = import_pydicom()
    with parsing(), open_dicom(frame.entry) as stream:
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
        try:
            if not pydicom.pixels.get_decoder(syntax).is_available:
                raise _no_decoder(syntax)
            decoded: npt.NDArray[Any] = dataset.pixel_array
        except NotImplementedError:  # video, and what no standard names
            raise UnreadableScan(
                "its pixels are packed in a way that nobody here reads, such as video; "
                "export them uncompressed"
            ) from None
        except RuntimeError:  # the decoders there are refuse this kind, as 12-bit JPEG
            raise _no_decoder(syntax) from None
        return decoded.reshape(frame.frames, *frame.shape)


def _no_decoder(syntax: Any) -> UnreadableScan:
    name = str(syntax.name)  # pydicom's own word: it is one of its decoders' syntaxes
    package = next((p for k, p in _DECODERS.items() if name.startswith(k)), None)
    advice = f"pip install {package}, or decompress" if package else "decompress"
    return UnreadableScan(
        f"its pixels are compressed ({name}) and no decoder here reads them: {advice} "
        "them first"
    )


def _rescaled(stored: npt.NDArray[Any], frame: Frame) -> npt.NDArray[Any]:
    if not stored.dtype.isnative:
        stored = stored.astype(stored.dtype.newbyteorder("="))
    if (frame.slope, frame.intercept) == (1.0, 0.0):
        return stored
    with np.errstate(over="ignore", invalid="ignore"):
        scaled: npt.NDArray[Any] = stored.astype(np.float32)
        scaled *= frame.slope
        scaled += frame.intercept
    return scaled


def _inverted(volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turns dark into bright; the brightest becomes 0."""
    if volume.dtype.kind == "i":  # the range of a signed type need not fit into it
        volume = volume.astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        inverted: npt.NDArray[Any] = volume.max() - volume
    return inverted
