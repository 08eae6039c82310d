"""Reads PNG, JPEG and TIFF into one grey channel, each pixel format on purpose."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mri_contrast._files import MAX_BYTES, Entry, reading
from mri_contrast._quiet import quiet
from mri_contrast._scan import MAX_PIXELS, Scan, too_large
from mri_contrast.errors import UnreadableScan

_DEEP = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
# A progressive JPEG has some 10 scans. Each may touch every pixel, however few bytes it
# has: 1 MB of empty ones would take an hour.
_START_OF_SCAN, _MOST_SCANS = b"\xff\xda", 100
_TRANSPARENT = {"LA", "La", "PA", "RGBA", "RGBa"}


def read_image(entry: Entry) -> Scan:
    """Reads one image.

    Returns:
        `(h, w, 1)` voxels: uint8, uint16 (16-bit files keep their range), int32 or
        float32. Colour becomes luma (ITU-R 601), transparency lies on black.

    Raises:
        UnreadableScan: damaged, too large or in a pixel format without a grey value.
    """
    entry.not_above(MAX_BYTES)
    with reading(), entry.open() as stream:
        _check_scans(stream)
    try:
        with quiet(), entry.open() as stream:
            image = Image.open(stream, formats=("PNG", "JPEG", "TIFF"))
            too_large(image.size, MAX_PIXELS)
            pages = int(getattr(image, "n_frames", 1))
            image.load()
    except UnreadableScan as error:
        raise UnreadableScan(f"the image is too large: {error}") from None
    except Image.DecompressionBombError:
        raise UnreadableScan(
            f"the image is too large: at most {MAX_PIXELS} pixels are read"
        ) from None
    except Exception:  # Pillow raises many kinds on damage, even TypeError
        raise UnreadableScan(
            "the image is damaged or cut short; export it again"
        ) from None
    notes = (f"{pages} pages: the first used",) if pages > 1 else ()
    return Scan(_grey(image)[:, :, np.newaxis], notes=notes)


def _check_scans(stream: IO[bytes]) -> None:
    if stream.read(2) != b"\xff\xd8":
        return
    scans = stream.read().count(_START_OF_SCAN)
    if scans > _MOST_SCANS:
        raise UnreadableScan(
            f"the JPEG is drawn in {scans} scans; at most {_MOST_SCANS} are read; "
            "export it again, not progressive"
        )


def _grey(image: Image.Image) -> npt.NDArray[Any]:
    """`(h, w)` grey values of an image in any of Pillow's modes."""
    if image.mode in _DEEP:
        pixels = np.asarray(image)
        if image.format == "PNG":  # older Pillow widens its 16 bits to 32
            return pixels.astype(np.uint16)
        return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        red_green_blue_alpha = image.convert("RGBA")
        alpha = np.asarray(red_green_blue_alpha.getchannel("A"), np.uint16)
        luma = np.asarray(red_green_blue_alpha.convert("RGB").convert("L"), np.uint16)
        return ((luma * alpha + 127) // 255).astype(np.uint8)
    try:
        # A palette must become colour first: its indices are no intensities.
        opaque = image if image.mode in {"1", "L"} else image.convert("RGB")
    except ValueError:
        raise UnreadableScan(
            f"its pixels are {image.mode}; export it as a grey or RGB image"
        ) from None
    return np.asarray(opaque.convert("L"))
