from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.shards.checksums import masked_crc32c


def test_the_check_value_of_the_standard_is_met() -> None:
    # RFC 3720, B.4, and the check value of CRC-32C; unmasked.
    blocks = [b"123456789", bytes(32), b"\xff" * 32, bytes(range(32))]
    masked = masked_crc32c(blocks).astype(np.uint64)
    rotated = (masked - 0xA282EAD8) % 2**32
    crc = (rotated >> 17) | (rotated << 15) % 2**32
    assert [f"{value:08X}" for value in crc] == [
        "E3069283",
        "8A9136AA",
        "62A8AB43",
        "46DD794E",
    ]


def test_what_tensorflow_writes_is_met_for_blocks_of_any_length(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    blocks = [generator.bytes(size) for size in (4, 5, 31, 1000, 999, 7, *[64] * 1100)]
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        for block in blocks:
            writer.write(block)
    content = (tmp_path / "x").read_bytes()
    lengths, written, place = [], [], 0
    for block in blocks:
        lengths.append(content[place + 8 : place + 12])
        place += 16 + len(block)
        written.append(content[place - 4 : place])
    headers = [len(block).to_bytes(8, "little") for block in blocks]
    assert masked_crc32c(headers).astype("<u4").tobytes() == b"".join(lengths)
    assert masked_crc32c(blocks).astype("<u4").tobytes() == b"".join(written)


def test_no_blocks_have_no_checksums_and_short_ones_are_refused() -> None:
    assert masked_crc32c([]).shape == (0,)
    with pytest.raises(ValueError, match="at least 4 bytes"):
        masked_crc32c([b"1234", b"123"])
