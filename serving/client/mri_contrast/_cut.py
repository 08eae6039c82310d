"""From a source to what may be sent of it: slices, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mri_contrast._hints_read import hints_of
from mri_contrast._scan import Scan
from mri_contrast.errors import UnreadableScan
from mri_contrast.hints import Hints
from mri_contrast.scans import Source, read_scan
from mri_contrast.slices import cut_planes

Planes: TypeAlias = Literal["all", "axial"]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A scan that is ready to be asked about.

    Attributes:
        slices: `(n, 150, 150)` uint8, 1 <= n <= 24: all that leaves the machine.
        preview: `(p, 150, 150)` uint8: the middle slice of each plane.
        hints: what header and name say; stays here.
        notes: what the reader had to choose.
        part: the series, where the source holds several.
    """

    slices: npt.NDArray[np.uint8]
    preview: npt.NDArray[np.uint8] | None = None
    hints: Hints = field(default_factory=Hints)
    notes: tuple[str, ...] = ()
    part: str | None = None


def cut_one(source: Source, planes: Planes) -> Cut:
    """Cuts the one scan that a source holds.

    Raises:
        UnreadableScan: it cannot be read or used, or there is more than one.
        TypeError: `source` is of no type that `read_scan` takes.
    """
    source = rereadable(source)
    return cut_scan(read_scan(source), planes, lambda: hints_of(source)(None))


def rereadable(source: Source) -> Source:
    """The bytes of a file object, which could be read once only; else as it is."""
    is_file = hasattr(source, "read") and not isinstance(source, os.PathLike)
    content: Any = source.read() if is_file else source  # type: ignore[union-attr]
    return content


def cut_scan(scan: Scan, planes: Planes, read_hints: Callable[[], Hints]) -> Cut:
    """Cuts a scan that was read.

    Raises:
        UnreadableScan: no plane that may be sent is usable.
    """
    hints = read_hints()
    by_axis = cut_planes(scan)
    if planes == "axial":
        by_axis = _axial(by_axis, hints.axial)
    return Cut(
        slices=np.concatenate(list(by_axis.values())),
        preview=np.stack([found[len(found) // 2] for found in by_axis.values()]),
        hints=hints,
        notes=scan.notes,
        part=scan.part,
    )


def _axial(
    by_axis: dict[int, npt.NDArray[np.uint8]], axis: int | None
) -> dict[int, npt.NDArray[np.uint8]]:
    if axis is None:
        raise UnreadableScan(
            "its file does not say how it lies, and planes='axial' may send no slice "
            "that could show a face; give NIfTI or DICOM with an orientation"
        )
    if axis not in by_axis:
        raise UnreadableScan(
            "its axial plane is too coarse to be cut, and planes='axial' sends no other"
        )
    return {axis: by_axis[axis]}
