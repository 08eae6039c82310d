"""Reads NIfTI-1, NIfTI-2 and Analyze files, as little of them as is needed."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast._files import Entry
from mri_contrast._kinds import unzipped_head
from mri_contrast._pairs import voxels_beside
from mri_contrast._scan import Scan
from mri_contrast._unpack import LATEST_START, read_span
from mri_contrast._voxels import as_scan, as_voxels, first_volume, native
from mri_contrast.errors import UnreadableScan

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
    nibabel = import_nibabel()
    head = unzipped_head(entry.head())
    new = head[4:8] == b"n+2\0"
    kind, size = (nibabel.Nifti2Header, 540) if new else (nibabel.Nifti1Header, 348)
    with senseless_header(nibabel):
        header = kind(head[:size], check=False)
        slope, intercept = header.get_slope_inter()
    voxels = _first(nibabel, header, entry, size)
    if slope is not None and (slope, intercept) != (1.0, 0.0):
        voxels = _scaled(voxels, slope, intercept or 0.0)
    return _scan(header, voxels)


def read_pair(entry: Entry) -> Scan:
    """Reads a header with its voxels in a second file (.hdr and .img).

    Returns:
        As `read_nifti`, but scaled values are float64.

    Raises:
        UnreadableScan: as `read_nifti`; or the second file is missing.
    """
    nibabel = import_nibabel()
    voxel_file = voxels_beside(entry)
    head = unzipped_head(entry.head())
    with senseless_header(nibabel):
        header = _pair_header(nibabel, head)
        slope, intercept = header.get_slope_inter()
        voxels = _first(nibabel, header, voxel_file, 0)
        # nibabel finds the width in which no scaled integer overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            voxels = nibabel.volumeutils.apply_read_scaling(
                voxels,
                None if slope is None else np.float64(slope),
                None if intercept is None else np.float64(intercept),
            )
    return _scan(header, native(voxels))


def _pair_header(nibabel: Any, head: bytes) -> Any:
    """The header of a NIfTI pair, or of Analyze, which has no magic number."""
    if head[4:8] in (b"ni2\0", b"n+2\0"):
        return nibabel.Nifti2Header(head[:540], check=False)
    if head[344:348] in (b"ni1\0", b"n+1\0"):
        return nibabel.Nifti1Header(head[:348], check=False)
    return nibabel.Spm2AnalyzeImage.header_class(head[:348], check=False)


def import_nibabel() -> Any:
    """The library; raises UnreadableScan saying how to install it."""
    try:
        import nibabel
    except ImportError:
        raise UnreadableScan(
            'reading NIfTI needs nibabel: pip install "mri-contrast[nifti]"'
        ) from None
    return nibabel


@contextlib.contextmanager
def senseless_header(nibabel: Any) -> Iterator[None]:
    """Turns what nibabel raises on damaged headers into UnreadableScan."""
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


def _first(nibabel: Any, header: Any, entry: Entry, earliest: int) -> npt.NDArray[Any]:
    """Voxels of the first volume, which begin at byte `earliest` or later."""
    with senseless_header(nibabel):
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        start = int(header.get_data_offset())
    first = first_volume(shape, dtype)
    if not earliest <= start <= LATEST_START:
        raise UnreadableScan(
            f"its header says that the voxels begin at byte {start}, not in "
            f"{earliest} to {LATEST_START}; convert the scan again, for example with "
            "dcm2niix"
        )
    content = read_span(entry, start, math.prod(first) * dtype.itemsize)
    return native(as_voxels(content, dtype, first))


def _scaled(
    voxels: npt.NDArray[Any], slope: float, intercept: float
) -> npt.NDArray[Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.float64 if voxels.dtype.itemsize == 8 else np.float32
        voxels = voxels.astype(wide)
        voxels *= slope
        voxels += intercept
    return voxels


def _scan(header: Any, voxels: npt.NDArray[Any]) -> Scan:
    shape = header.get_data_shape()
    return as_scan(voxels, _spacing(header), len(shape), math.prod(shape[3:]))


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
