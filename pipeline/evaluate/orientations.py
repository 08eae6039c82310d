"""The 24 ways to turn a scan's axes: files come in every one of them."""

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np

from mri_contrast.scans import Scan

Turn = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Which old axis each new one is, and the sign of each."""


def _turns() -> Iterator[Turn]:
    """Yields the rotations of a cube: permutations with signs, of determinant 1."""
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            if round(np.linalg.det(np.eye(3)[list(axes)] * signs)) == 1:
                yield (axes[0], axes[1], axes[2]), (signs[0], signs[1], signs[2])


TURNS: Final = tuple(_turns())
"""The first leaves everything as it is; 23 others turn it."""


def turned(scan: Scan, turn: Turn) -> Scan:
    """Turns a scan's voxels, its spacing with them; nothing is copied."""
    axes, signs = turn
    steps = tuple(slice(None, None, sign) for sign in signs)
    spacing = (scan.spacing[axes[0]], scan.spacing[axes[1]], scan.spacing[axes[2]])
    voxels = scan.voxels.transpose(axes)[steps]
    return Scan(voxels, spacing, scan.notes, scan.part)
