"""Looks for slices of one split that another split holds too, or nearly so.

    python -m pipeline.duplicates --shards data/shards/NAME

Subjects keep splits apart by name; this looks at the pictures, since one person may
have two names. A network that has seen a test slice scores well on it for nothing.
Copies that were turned, flipped, shifted or cropped are not found.
"""

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.command import DONE, run_command
from pipeline.dataset import evaluation_batches, explained_damage
from pipeline.manifest import load_manifest
from pipeline.splits import SPLITS

SIDE: Final = 16
WORDS: Final = SIDE * SIDE // 64
NEAR: Final = 4
"""Bits of 256 in which near-duplicates may differ."""

MARGIN: Final = 0.1
"""Brighter by less than this share of the slice's deviation counts as equal."""

FLAT: Final = 2.0
"""Slices of a smaller standard deviation, of 255, are blank: alike for no reason."""

GATE: Final = 3
_AT_A_TIME: Final = 256
_BLOCK: Final = 16_384

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class DuplicatesConfig:
    """Looks for slices that are in two splits; exit code 3 where there are any.

    Attributes:
        shards: Folder of shards with their manifest.
    """

    shards: Path = Path("data/shards/phantom")


def duplicates(config: DuplicatesConfig) -> int:
    """Names scans that share slices across splits; returns the exit code."""
    found = shared_scans(config.shards)
    for one, other in found[:20]:
        _log.warning("%s and %s share slices, or nearly so", one, other)
    _log.info("%d pairs of scans in two splits share slices", len(found))
    return GATE if found else DONE


def shared_scans(shards: Path) -> list[tuple[str, str]]:
    """Returns pairs of scans in different splits that share nearly the same slices.

    Args:
        shards: Folder of shards with their manifest.
    """
    manifest = load_manifest(shards)
    with explained_damage(shards):
        splits = [_read(shards, name) for name in SPLITS if manifest.count(name)]
    pairs = set()
    for index, (hashes, scans) in enumerate(splits):
        for others, other_scans in splits[index + 1 :]:
            for one, other in near(hashes, others):
                pairs.add((str(scans[one]), str(other_scans[other])))
    return sorted(pairs)


def hashes_of(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Whether each of 16 × 17 patches is clearly brighter than its left neighbour.

    Brightness, contrast and a little noise or blur change few of these bits; another
    head changes many ("dHash", Krawetz 2013).

    Args:
        images: (n, height, width) uint8.

    Returns:
        (n, 4) uint64.
    """
    small = tf.image.resize(images[..., None], (SIDE, SIDE + 1), method="area")
    # By more than a little: in the black around a head, noise would draw the bits.
    steps = np.diff(small.numpy()[..., 0], axis=2)
    bits = steps > MARGIN * small.numpy().std(axis=(1, 2), keepdims=True)[..., 0]
    return np.packbits(bits.reshape(len(images), -1), axis=1).view(np.uint64)


def near(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Returns pairs of rows that differ in at most `NEAR` bits, ordered.

    A block of each side is compared at a time: 50 MB, however many rows there are.
    """
    found: list[tuple[int, int]] = []
    for first in range(0, len(one), _BLOCK):
        for start in range(0, len(other), _AT_A_TIME):
            mine = one[first : first + _BLOCK]
            theirs = other[start : start + _AT_A_TIME]
            apart = np.zeros((len(mine), len(theirs)), np.int16)
            for word in range(WORDS):
                apart += np.bitwise_count(mine[:, None, word] ^ theirs[None, :, word])
            rows, columns = np.nonzero(apart <= NEAR)
            found += zip(
                (rows + first).tolist(), (columns + start).tolist(), strict=True
            )
    return sorted(found)


def _read(shards: Path, split: str) -> tuple[NDArray[np.uint64], NDArray[np.str_]]:
    hashes, scans = [np.zeros((0, WORDS), np.uint64)], []
    for batch in evaluation_batches(shards, split, batch_size=_AT_A_TIME):
        images = batch["image"].numpy()
        shown = images.std(axis=(1, 2)) >= FLAT
        hashes.append(hashes_of(images[shown]))
        scans += batch["scan"].numpy()[shown].astype(str).tolist()
    return np.concatenate(hashes), np.array(scans, dtype=str)


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        DuplicatesConfig, duplicates, prog="python -m pipeline.duplicates"
    )


if __name__ == "__main__":
    sys.exit(main())
