"""Reads NIfTI-1, NIfTI-2 and Analyze files, as little of them as is needed."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mri_contrast._files import Entry, reading, unzipped_head
from mri_contrast._scan import MAX_VOXELS, Scan, known_spacing, too_large
from mri_contrast.errors import UnreadableScan

# Inflating in pieces of this size is 20 % faster than gzip.open, and stops after
# the first volume of a long 4-D file.
_PIECE = 2**17
# Voxels begin at byte 352; header extensions (a DICOM header, an AFNI history) put some
# 100 kB before them. A damaged offset would ask for terabytes, or inflate a gzip bomb.
_LATEST_START = 2**20
_MM = {"meter": 1e3, "micron": 1e-3}


def read_nifti(entry: Entry) -> Scan:
    """Reads a single-file NIfTI (.nii, .nii.gz).

    Returns:
        The first volume, in the file's dtype unless its header scales the values
        (then float32, or float64 for 8-byte dtypes).

    Raises:
        UnreadableScan: nibabel missing, header senseless, file cut short or damaged,
            colour or complex voxels.
    """
    nibabel = _nibabel()
    head = entry.head()
    packed = head[:2] == b"\x1f\x8b"
    head = unzipped_head(head) if packed else head
    new = head[4:8] == b"n+2\0"
    kind, size = (nibabel.Nifti2Header, 540) if new else (nibabel.Nifti1Header, 348)
    with _senseless_header(nibabel):
        header = kind(head[:size], check=False)
        shape, dtype = _first_volume(header)
        start = int(header.get_data_offset())
        slope, intercept = header.get_slope_inter()
    if not size <= start <= _LATEST_START:
        raise UnreadableScan(
            f"its header says that the voxels begin at byte {start}, not in "
            f"{size} to {_LATEST_START}; convert the scan again, for example with "
            "dcm2niix"
        )
    end = start + math.prod(shape) * dtype.itemsize
    with reading(), entry.open() as stream:
        content = _inflate(stream, end) if packed else stream.read(end)
    if len(content) < end:
        raise UnreadableScan(
            f"the file is cut short: {len(content)} of {end} bytes; copy it again"
        )
    voxels = np.frombuffer(content, dtype, math.prod(shape), start)
    return _scan(header, voxels.reshape(shape, order="F"), slope, intercept)


def read_pair(entry: Entry) -> Scan:
    """Reads a header with its voxels in a second file (.hdr and .img).

    Raises:
        UnreadableScan: as `read_nifti`; or the second file is missing.
    """
    nibabel = _nibabel()
    if entry.path is None:
        raise UnreadableScan(
            "it is half of a .hdr/.img pair; give the path of the .hdr file with the "
            ".img beside it, or convert it to .nii"
        )
    try:
        with _senseless_header(nibabel):
            image = nibabel.load(entry.path)
            shape, _ = _first_volume(image.header)
            beyond = (0,) * (len(image.shape) - len(shape))
            voxels = np.asanyarray(image.dataobj[(..., *beyond)])
    except OSError:
        raise UnreadableScan(
            "the .hdr/.img pair is not complete: one half is missing or cut short"
        ) from None
    return _scan(image.header, voxels, None, None)


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError:
        raise UnreadableScan(
            'reading NIfTI needs nibabel: pip install "mri-contrast[nifti]"'
        ) from None
    return nibabel


@contextlib.contextmanager
def _senseless_header(nibabel: Any) -> Iterator[None]:
    """Turns what nibabel raises on damaged files into UnreadableScan."""
    try:
        yield
    except UnreadableScan:
        raise
    except (
        nibabel.spatialimages.HeaderDataError,
        nibabel.filebasedimages.ImageFileError,
        nibabel.wrapstruct.WrapStructError,
        OverflowError,
        KeyError,
        ValueError,
    ):
        raise UnreadableScan(
            "its header makes no sense; convert the scan again, for example with "
            "dcm2niix"
        ) from None


def _first_volume(header: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape (two or three axes) and dtype; refuses what is no grey volume."""
    shape = tuple(int(n) for n in header.get_data_shape())
    dtype = header.get_data_dtype()
    if dtype.fields is not None:
        raise UnreadableScan("its voxels are RGB colours; give the grey scan itself")
    if dtype.kind not in "uif":
        raise UnreadableScan(f"its voxels are {dtype}; give the magnitude image")
    if len(shape) < 2 or min(shape) < 1:
        raise UnreadableScan(f"its shape is {shape}; a scan has two axes or more")
    too_large(shape[:3], MAX_VOXELS)
    return shape[:3], dtype


def _scan(
    header: Any,
    voxels: npt.NDArray[Any],
    slope: float | None,
    intercept: float | None,
) -> Scan:
    """Scaling, spacing and notes; `slope` None where nothing is to be scaled."""
    if voxels.dtype.itemsize > 8:
        voxels = voxels.astype(np.float64)
    if not voxels.dtype.isnative:
        voxels = voxels.astype(voxels.dtype.newbyteorder("="))
    if slope is not None and (slope, intercept) != (1.0, 0.0):
        wide = np.float64 if voxels.dtype.itemsize == 8 else np.float32
        with np.errstate(over="ignore", invalid="ignore"):
            voxels = voxels.astype(wide)
            voxels *= slope
            voxels += intercept or 0.0
    if voxels.ndim == 2:
        voxels = voxels[:, :, np.newaxis]
    spacing, notes = known_spacing(_spacing(header))
    volumes = math.prod(header.get_data_shape()[3:])
    if volumes > 1:
        axes = len(header.get_data_shape())
        notes = (*notes, f"{axes}-D: first of {volumes} volumes used")
    return Scan(voxels, spacing, notes)


def _spacing(header: Any) -> tuple[float, float, float]:
    """Along i, j, k in mm; 1.0 for an axis that the file does not have."""
    zooms = [float(z) for z in header.get_zooms()[:3]]
    scale = _millimetres(header)
    i, j, k = [z * scale for z in zooms] + [1.0] * (3 - len(zooms))
    return i, j, k


def _millimetres(header: Any) -> float:
    """Millimetres in the header's unit of length; mm where it names none we know."""
    try:
        unit = header.get_xyzt_units()[0]
    except (AttributeError, KeyError):  # Analyze has no units; a damaged byte no name
        return 1.0
    return _MM.get(unit, 1.0)


def _inflate(stream: IO[bytes], size: int) -> bytes:
    """Unpacks up to `size` bytes of a gzip file; tests its checksum at its end.

    Raises:
        UnreadableScan: what was read is damaged, or its end is missing.
    """
    pieces, got = [], 0
    inflater = zlib.decompressobj(31)
    try:
        while got <= size and (packed := stream.read(_PIECE)):
            while packed:
                if inflater.eof:  # bgzip writes one member after the other
                    inflater = zlib.decompressobj(31)
                pieces.append(inflater.decompress(packed))
                got += len(pieces[-1])
                packed = inflater.unused_data.lstrip(b"\0")  # padding of old tapes
    except zlib.error:
        raise UnreadableScan("the gzip data is damaged; copy the file again") from None
    if got <= size and not inflater.eof:
        raise UnreadableScan("the gzip file is cut short; copy it again")
    return b"".join(pieces)[:size]
