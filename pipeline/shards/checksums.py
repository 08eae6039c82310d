"""CRC-32C of many blocks at once: what TFRecord files guard their bytes with.

TensorFlow computes it but lets no Python program ask for it, and tells of one damaged
record only, the first. A thousand records side by side keep numpy busy: see
docs/decisions.md for the speed.
"""

import functools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL: Final = 0x82F63B78
"""Castagnoli's, bits reversed."""

_TOGETHER: Final = 1024
"""Blocks at a time: 23 MB of slices, twice that with the transposed copy. 256 reach
half the speed, all of a shard no more."""

_SHORTEST: Final = 4


def masked_crc32c(blocks: Sequence[bytes | memoryview]) -> NDArray[np.uint32]:
    """Returns the masked CRC-32C of each block, as TFRecord files store it.

    Args:
        blocks: Of at least 4 bytes each; alike in length, or memory is wasted.

    Returns:
        (blocks,) uint32.

    Raises:
        ValueError: A block is shorter than 4 bytes.
    """
    parts = [
        _crc32c(blocks[first : first + _TOGETHER])
        for first in range(0, len(blocks), _TOGETHER)
    ]
    crc = np.concatenate([np.empty(0, np.uint32), *parts])
    # The mask keeps the checksum of data that contain checksums from degenerating.
    rotated: NDArray[np.uint32] = np.bitwise_or(crc >> 15, crc << 17, dtype=np.uint32)
    return rotated + np.uint32(0xA282EAD8)


def _crc32c(blocks: Sequence[bytes | memoryview]) -> NDArray[np.uint32]:
    """Takes two bytes of every block in each step.

    Zeros in front leave a register of 0 as it is, so blocks of different length are
    aligned at their ends. The register's start, all ones, is the same as 0 with the
    first four bytes inverted.
    """
    if min(map(len, blocks)) < _SHORTEST:
        raise ValueError(f"a block must have at least {_SHORTEST} bytes")
    width = max(map(len, blocks))
    width += width % 2
    rows = np.zeros((len(blocks), width), np.uint8)
    for row, block in zip(rows, blocks, strict=True):
        first = width - len(block)
        row[first:] = np.frombuffer(block, np.uint8)
        row[first : first + _SHORTEST] ^= 0xFF
    table = _table()
    register = np.zeros(len(blocks), np.uint32)
    for pairs in np.ascontiguousarray(rows.view("<u2").T):
        low = register.astype(np.uint16) ^ pairs
        register >>= 16
        register ^= table[low]
    return ~register


@functools.cache
def _table() -> NDArray[np.uint32]:
    """What two bytes do to the register: (65536,) uint32."""
    table: NDArray[Any] = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(16):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table.astype(np.uint32)
