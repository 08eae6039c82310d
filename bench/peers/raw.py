"""The slices as plain bytes: what the peers' own formats are packed from."""

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIDE: Final = 150
PIXELS: Final = SIDE * SIDE


@dataclasses.dataclass(frozen=True, slots=True)
class Forms:
    """Where each form of the same slices lies.

    Attributes:
        folder: That holds them all.
    """

    folder: Path

    @property
    def images(self) -> Path:
        """(slices, 150, 150) uint8 and nothing else."""
        return self.folder / "images.bin"

    @property
    def labels(self) -> Path:
        """(slices,) uint8."""
        return self.folder / "labels.bin"

    @property
    def arrayrecord(self) -> Path:
        """Files of grain's own format: a label's byte, then the pixels."""
        return self.folder / "arrayrecord"

    @property
    def tar(self) -> Path:
        """Files of webdataset's own format: one member a slice, as above."""
        return self.folder / "tar"

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Maps images and labels into memory."""
        images = np.memmap(self.images, np.uint8, "r").reshape(-1, SIDE, SIDE)
        return images, np.memmap(self.labels, np.uint8, "r")
