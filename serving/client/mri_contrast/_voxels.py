"""From the bytes of a volume to a scan: what NIfTI, MGH and NRRD have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast._scan import MAX_VOXELS, Scan, known_spacing, too_large
from mri_contrast._unpack import Bytes
from mri_contrast.errors import UnreadableScan


def first_volume(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """The two or three axes of the first volume.

    Raises:
        UnreadableScan: colour, complex numbers, a side below 1, or too large.
    """
    if dtype.fields is not None:
        raise UnreadableScan("its voxels are RGB colours; give the grey scan itself")
    if dtype.kind not in "uif":
        raise UnreadableScan(f"its voxels are {dtype}; give the magnitude image")
    if len(shape) < 2 or min(shape) < 1:
        raise UnreadableScan(f"its shape is {shape}; a scan has two axes or more")
    too_large(shape[:3], MAX_VOXELS)
    return shape[:3]


def as_voxels(
    content: Bytes, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    """`shape` voxels, the first axis running fastest."""
    return np.frombuffer(content, dtype, math.prod(shape)).reshape(shape, order="F")


def native(voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in native byte order, in 8 bytes where there are more."""
    if voxels.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            voxels = voxels.astype(np.float64)
    if not voxels.dtype.isnative:
        voxels = voxels.astype(voxels.dtype.newbyteorder("="))
    return voxels


def as_scan(
    voxels: npt.NDArray[Any],
    spacing: tuple[float | None, float | None, float | None],
    axes: int,
    volumes: int,
) -> Scan:
    """Makes a scan of the first volume.

    Args:
        voxels: `(i, j)` or `(i, j, k)`.
        spacing: mm along i, j, k; None where unknown.
        axes: how many the file has.
        volumes: how many the file has; a note tells of more than one.
    """
    if voxels.ndim == 2:
        voxels = voxels[:, :, np.newaxis]
    known, notes = known_spacing(spacing)
    if volumes > 1:
        notes = (*notes, f"{axes}-D: first of {volumes} volumes used")
    return Scan(voxels, known, notes)
