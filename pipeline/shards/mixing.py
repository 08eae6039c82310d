"""Adds simulated scans of the class `other` to labelled scans that have too few.

Most users have T1, T2 and FLAIR and nothing else; a network that never saw anything
else cannot refuse it. The scans of a user are split first; then each split gets as many
simulated ones as its share of `other` takes, of heads that no other split has.
"""

import dataclasses
import itertools
import logging
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, Final

import numpy as np

from mri_contrast.scans import Scan
from mri_contrast.slices import cut
from pipeline.labelled import NO_PLANES, LabelledScan, Planes
from pipeline.phantom import PhantomConfig, PhantomScan, phantom_scans
from pipeline.splits import SplitConfig, split_scans

OTHER: Final = "other"

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class PictureOf:
    """One slice of a simulated scan, as a set of single pictures holds it.

    Attributes:
        scan: The simulated scan.
    """

    scan: PhantomScan

    @property
    def name(self) -> str:
        """The scan's, and that it is one slice of it."""
        return f"{self.scan.name}-picture"

    @property
    def contrast(self) -> str:
        """The scan's class."""
        return self.scan.contrast

    @property
    def subject(self) -> str:
        """The head that it was taken of."""
        return self.scan.subject

    @property
    def source(self) -> str:
        """The scan's, for example `phantom/T2star`."""
        return self.scan.source

    @property
    def split(self) -> str | None:
        """Where the mixture puts it."""
        return self.scan.split

    @property
    def gadolinium(self) -> int:
        """The scan's: whether a T1 was taken after contrast agent."""
        return self.scan.gadolinium

    @property
    def planes(self) -> Planes:
        """Unknown: a picture has one plane, and no axis says which."""
        return NO_PLANES

    def stamp(self) -> tuple[int, int]:
        """Nothing on a disk that could change: always the same."""
        return self.scan.stamp()

    def read(self) -> Scan:
        """Renders the scan and keeps one slice, drawn by the scan's name."""
        slices = cut(self.scan.read())
        drawn = random.Random(self.name).randrange(len(slices))
        return Scan(slices[drawn][..., np.newaxis])


def add_others(
    scans: Sequence[LabelledScan], share: float, config: SplitConfig
) -> list[LabelledScan]:
    """Splits scans and adds simulated `other` until it is a share of every split.

    Scans are counted, not slices. Where the scans are PNG, JPEG or TIFF files, of one
    slice each, as large a part of the simulated ones is a single slice too.

    Args:
        scans: Labelled scans of a source.
        share: Of all scans of a split that are to be `other`, in (0, 1).
        config: Deals the subjects; its seed draws the simulated heads too.

    Returns:
        All scans, each with its split.

    Raises:
        ValueError: A split that was asked for is empty, so nothing can be added to it.
    """
    mixed: list[LabelledScan] = []
    heads = _others_by_head(config.seed)
    for split, members in split_scans(scans, config).items():
        if not members:
            if getattr(config, split, 1) > 0:
                raise ValueError(
                    f"no scan of yours is left for the split {split!r}, so no share of "
                    f"it can be {OTHER}; add subjects, or pass --{split} 0"
                )
            continue
        mixed += (_placed(scan, split) for scan in members)
        wanted = missing_others(members, share)
        if not wanted:
            _log.warning("%s holds %s enough as it is: none is added", split, OTHER)
        added = [_placed(scan, split) for scan in _take(heads, wanted)]
        pictures = round(wanted * _share_of_pictures(members))
        mixed += map(PictureOf, added[:pictures])
        mixed += added[pictures:]
    return mixed


def missing_others(scans: Iterable[LabelledScan], share: float) -> int:
    """Returns how many scans of `other` bring its share among `scans` up to `share`."""
    is_other = [scan.contrast == OTHER for scan in scans]
    missing = share * len(is_other) - sum(is_other)
    # Rounding off: 0.25 of 30 and 10 is 10, not 11 for the last bit of a float.
    return max(0, math.ceil(round(missing / (1 - share), 6)))


def _take(heads: Iterator[list[PhantomScan]], count: int) -> list[PhantomScan]:
    """Takes scans of whole heads; what is left of the last one is left out."""
    taken: list[PhantomScan] = []
    while len(taken) < count:
        taken += next(heads)
    return taken[:count]


def _others_by_head(seed: int) -> Iterator[list[PhantomScan]]:
    """Yields the simulated scans of `other` of one head after the other, endlessly."""
    known, count = 0, 64
    while True:
        scans = phantom_scans(PhantomConfig(count, seed))
        others = [scan for scan in scans if scan.contrast == OTHER]
        heads = itertools.groupby(others, key=lambda scan: scan.subject)
        found = [list(members) for _, members in heads]
        yield from found[known:]
        known, count = len(found), 2 * count


def _share_of_pictures(scans: Sequence[LabelledScan]) -> float:
    endings = (PurePath(scan.name).suffix.lower() for scan in scans)
    return sum(ending in _PICTURES for ending in endings) / len(scans)


def _placed(scan: Any, split: str) -> Any:
    """The same scan, in a split."""
    return scan if scan.split == split else dataclasses.replace(scan, split=split)
