from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from mri_contrast import _scan
from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import read_scan

Encode = Callable[..., bytes]


RAMP = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)


def pixels(source: bytes) -> np.ndarray:
    """The `(h, w)` pixels that were read from an image."""
    voxels = read_scan(source).voxels
    assert voxels.shape[2] == 1
    return voxels[:, :, 0]


@settings(deadline=None)  # of a machine that does other things, too
@given(
    image=arrays(
        st.sampled_from([np.uint8, np.uint16]),
        array_shapes(min_dims=2, max_dims=2, max_side=9),
    ),
    form=st.sampled_from(["PNG", "TIFF"]),
)
def test_grey_images_keep_every_value(image: np.ndarray, form: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form)
    read = pixels(stream.getvalue())
    assert read.dtype == image.dtype
    np.testing.assert_array_equal(read, image)


def test_16_bit_png_keeps_its_range(png: Encode) -> None:
    deep = RAMP * 50
    np.testing.assert_array_equal(pixels(png(Image.fromarray(deep))), deep)


def test_big_endian_16_bit_tiff_is_read_in_native_order(png: Encode) -> None:
    image = Image.frombytes("I;16B", (40, 30), RAMP.astype(">u2").tobytes())
    read = pixels(png(image, "TIFF"))
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, RAMP)


def test_float_tiff_keeps_its_values(png: Encode) -> None:
    values = RAMP.astype(np.float32) / 7 - 20
    np.testing.assert_array_equal(pixels(png(Image.fromarray(values), "TIFF")), values)


def test_palette_png_is_read_by_its_colours_not_its_indices(png: Encode) -> None:
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([200, 200, 200, 10, 10, 10])
    assert pixels(png(image)).tolist() == [[200, 10]]


def test_transparent_palette_png_lies_on_black(png: Encode) -> None:
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([200, 200, 200, 90, 90, 90])
    image.info["transparency"] = 0
    assert pixels(png(image)).tolist() == [[0, 90]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_black(png: Encode, mode: str) -> None:
    grey = Image.frombytes("L", (3, 1), bytes([200, 200, 200]))
    image = grey.convert(mode)
    image.putalpha(Image.frombytes("L", (3, 1), bytes([255, 128, 0])))
    assert pixels(png(image)).tolist() == [[200, 100, 0]]


def test_colour_becomes_luma(png: Encode) -> None:
    image = Image.new("RGB", (1, 1), (255, 0, 0))
    assert pixels(png(image)).tolist() == [[76]]  # 0.299 x 255


def test_black_and_white_png_has_the_full_range(png: Encode) -> None:
    image = Image.frombytes("L", (2, 1), bytes([0, 255])).convert("1")
    assert pixels(png(image)).tolist() == [[0, 255]]


def test_jpeg_is_read_within_its_own_loss(png: Encode) -> None:
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    read = pixels(png(Image.fromarray(smooth), "JPEG"))
    assert np.abs(read.astype(int) - smooth).max() < 8


def test_further_pages_of_a_tiff_are_left_out_and_said_so() -> None:
    stream = io.BytesIO()
    first, second = Image.new("L", (3, 2), 1), Image.new("L", (3, 2), 2)
    first.save(stream, "TIFF", save_all=True, append_images=[second])
    scan = read_scan(stream.getvalue())
    assert scan.notes == ("2 pages: the first used",)
    assert scan.voxels.max() == 1


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_a_truncated_image_is_unreadable(png: Encode, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    whole = png(Image.fromarray(noise), form)
    with pytest.raises(UnreadableScan, match="damaged or cut short"):
        read_scan(whole[: len(whole) // 2])


def test_an_image_that_claims_too_many_pixels_is_refused_before_decoding(
    png: Encode,
) -> None:
    side = int(_scan.MAX_PIXELS**0.5) + 1
    with pytest.raises(UnreadableScan, match=f"too large.*{side}x{side}"):
        read_scan(png(Image.new("1", (side, side))))


def test_nothing_of_a_header_is_logged_or_warned(
    png: Encode, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, "TIFF", description="Secret^Person")
    whole = stream.getvalue()
    with caplog.at_level(logging.DEBUG):
        pixels(whole)
        with pytest.raises(UnreadableScan):
            read_scan(whole[:-300])
    assert caplog.records == []
    assert list(recwarn) == []
    assert logging.getLogger("PIL").level == logging.NOTSET


def test_threads_that_read_images_leave_warnings_and_logs_as_they_were(
    png: Encode,
) -> None:
    content, before = png(Image.fromarray(RAMP)), list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(pixels, [content] * 32))
    assert all((image == RAMP).all() for image in read)
    assert warnings.filters == before
    assert logging.getLogger("PIL").level == logging.NOTSET
