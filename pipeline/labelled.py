"""Scans whose contrast is known, read only when they are asked for."""

import dataclasses
from pathlib import Path
from typing import Final, Protocol, TypeAlias, runtime_checkable

from mri_contrast.scans import Scan, read_scan

PLANES: Final = ("sagittal", "coronal", "axial")
"""What the number of a plane means: the subject's axis that the plane lies across."""

UNKNOWN: Final = -1
"""Stands for a plane or a contrast agent that nothing is known of."""

Planes: TypeAlias = tuple[int, int, int]
"""For each stored axis, the plane that slices across it show: index into `PLANES`."""

NO_PLANES: Final[Planes] = (UNKNOWN, UNKNOWN, UNKNOWN)


@runtime_checkable
class LabelledScan(Protocol):
    """A scan whose contrast is known; picklable, and read only when asked."""

    @property
    def name(self) -> str:
        """Path relative to the data's root, or `phantom-000123`."""

    @property
    def contrast(self) -> str:
        """One of `pipeline.contrasts.CLASSES`."""

    @property
    def subject(self) -> str:
        """The person: all scans of a subject go to the same split."""

    @property
    def source(self) -> str:
        """Where it comes from: a data set, or `phantom/<protocol family>`."""

    @property
    def split(self) -> str | None:
        """`train`, `validation` or `test` where the source fixes it."""

    @property
    def planes(self) -> Planes:
        """The plane that slices across each stored axis show, or `NO_PLANES`."""

    @property
    def gadolinium(self) -> int:
        """0 without and 1 with contrast agent, `UNKNOWN` wherever it is no T1."""

    def stamp(self) -> tuple[int, int]:
        """Bytes and time of the last change in ns: whether it is still the same."""

    def read(self) -> Scan:
        """Reads the voxels.

        Raises:
            UnreadableScan: The file is damaged or of a kind that is not supported.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class FileScan:
    """A labelled file, or a folder with the files of one DICOM series.

    Ten million of them fit into memory: the name is the only text of its own, and the
    disk is asked for size and time where the scan is cut.

    Attributes:
        root: What `name` is relative to; absolute.
        gadolinium: 1 where its label says so, else `UNKNOWN`: who writes `T1` may mean
            both.
    """

    name: str
    contrast: str
    subject: str
    source: str
    split: str | None
    root: Path
    gadolinium: int = UNKNOWN

    @property
    def planes(self) -> Planes:
        """Unknown: no layout names them, and headers are not read to find out."""
        return NO_PLANES

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / self.name

    def stamp(self) -> tuple[int, int]:
        """Bytes and time of the last change in ns; zeros where there is nothing."""
        path = self.path
        if not path.exists():  # A CSV may name it: rejected, with its name, when read.
            return 0, 0
        files = path.rglob("*") if path.is_dir() else [path]
        stats = [file.stat() for file in files if file.is_file()]
        return (
            sum(stat.st_size for stat in stats),
            max((stat.st_mtime_ns for stat in stats), default=0),
        )

    def read(self) -> Scan:
        """Reads the voxels; raises `UnreadableScan` where that fails."""
        return read_scan(self.path)
