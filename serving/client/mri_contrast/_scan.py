"""A scan in memory, and how large it may be."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from mri_contrast.errors import UnreadableScan

# The finest whole-head scans of living people (0.25 mm) have 4.9e8 voxels; above
# this a header is damaged or hostile, and memory is not taken.
MAX_VOXELS = 2**29
# Along one axis, as uint16 counts in DICOM. The slicer holds 150 weights for each voxel
# of a side: 80 MB at this one, where an image of 16 x 4 million pixels took 5 GB.
MAX_SIDE = 2**16
# 8192 x 8192: far above any MRI slice or screenshot of one, and below the size at
# which Pillow warns of a decompression bomb.
MAX_PIXELS = 2**26


_TINIEST = 1e-200


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One series.

    Attributes:
        voxels: `(i, j, k)`, of a real dtype in native byte order, header scaling
            applied; may hold NaN and infinities. One image has `k == 1`.
        spacing: distance between voxels along i, j and k in mm; 1.0 where unknown.
        notes: what the reader had to choose, e.g. "4-D: first of 120 volumes used".
        part: names the series where its source holds several.

    Raises:
        UnreadableScan: not 3-D, empty, of a dtype that is not real, or with a
            spacing that is not positive.
    """

    voxels: npt.NDArray[Any]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    notes: tuple[str, ...] = ()
    part: str | None = None

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or self.voxels.size == 0:
            raise UnreadableScan(
                f"its shape is {self.voxels.shape}; a scan has three axes, none empty"
            )
        if self.voxels.dtype.kind not in "uif":
            raise UnreadableScan(
                f"its values are {self.voxels.dtype}; a scan has one real number a "
                "voxel (no colour, no complex numbers)"
            )
        if len(self.spacing) != 3 or not all(
            math.isfinite(mm) and mm > 0 for mm in self.spacing
        ):
            raise UnreadableScan(
                f"its voxel spacing is {self.spacing}; three positive numbers (mm) "
                "are needed"
            )


@dataclass(frozen=True, slots=True)
class Part:
    """A series that was found but not read yet; `name` is None for an only one."""

    name: str | None
    read: Callable[[], Scan]


def known_spacing(
    values: tuple[float | None, float | None, float | None],
) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """Replaces unknown or impossible spacings by 1 mm.

    Args:
        values: mm along i, j, k; None, zero, NaN or infinite where unknown, or of a
            size at which the slicer's products leave float64.

    Returns:
        The spacing, and a note where something was assumed.
    """
    usable = [v is not None and _TINIEST < abs(v) < 1 / _TINIEST for v in values]
    spacing = [
        abs(float(v)) if ok and v is not None else 1.0
        for v, ok in zip(values, usable, strict=True)
    ]
    notes = () if all(usable) else ("voxel size unknown: 1 mm assumed",)
    return (spacing[0], spacing[1], spacing[2]), notes


def too_large(shape: tuple[int, ...], limit: int, longest: int = MAX_SIDE) -> None:
    """Refuses a scan before its memory is taken.

    Raises:
        UnreadableScan: the product of `shape` is above `limit`, or a side too long.
    """
    if math.prod(shape) > limit or max(shape) > longest:
        raise UnreadableScan(
            f"its header claims {'x'.join(map(str, shape))} values; at most "
            f"{limit} are read, {min(longest, limit)} along one axis"
        )
