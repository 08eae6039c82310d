"""Reads encoded images inside the graph as the client's reader and slicer would.

Every step here has its twin in `mri_contrast.slices` and `mri_contrast.scans`; a test
bounds what the difference does to the log-probabilities.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import tensorflow as tf

from mri_contrast.slices import (
    HIGH_QUANTILE,
    LOW_QUANTILE,
    MIN_SIDE,
    SAMPLE_SIDE,
    SIZE,
)

MAX_PIXELS: Final = 4096 * 4096
"""Checked in the header: a 388 kB PNG can decode to 1 GiB."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_TINY: Final = float(np.finfo(np.float32).tiny)
_DECODERS: Final = 4
"""Images decoded at once: bounds the memory that one request can take."""

_UNKNOWN: Final = "neither a PNG nor a JPEG image; send one of the two"
_DAMAGED: Final = "damaged or truncated image; export it again"
_TOO_LARGE: Final = f"more than {MAX_PIXELS} pixels; scale the image down"
_TOO_SMALL: Final = f"a side is shorter than {MIN_SIDE} pixels: it shows no anatomy"
_BLANK: Final = "the image is blank: its pixels are all equal"

_LUMA: Final = (19595, 38470, 7471)
"""ITU-R 601-2 luma in 1/65536, as Pillow's conversion to grey uses it."""


def read_images(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Turns encoded images into slices; a bad image never fails its batch.

    Args:
        images: (n,) string, PNG or JPEG bytes.

    Returns:
        (n, 150, 150) uint8, black where an image was unreadable; and (n,) string,
        what was wrong with each image, empty where it was readable.
    """
    count = tf.shape(images, out_type=tf.int64)[0]
    black = tf.zeros((1, SIZE, SIZE), tf.uint8)
    # Decoding errors drop an element here. The last element, always readable, keeps
    # the batch from being empty.
    last = tf.data.Dataset.from_tensors((count, black[0], tf.constant("")))
    read = (
        tf.data.Dataset.from_tensor_slices(images)
        .enumerate()
        .map(_read_one, num_parallel_calls=_DECODERS)
        .ignore_errors(log_warning=False)
        .concatenate(last)
        .batch(count + 1)
    )
    index, slices, errors = tf.data.experimental.get_single_element(read)
    found = tf.tensor_scatter_nd_update(
        tf.fill([count + 1], _DAMAGED), index[:, tf.newaxis], errors
    )
    placed = tf.scatter_nd(
        index[:, tf.newaxis],
        slices,
        tf.stack([count + 1, tf.constant(SIZE, tf.int64), tf.constant(SIZE, tf.int64)]),
    )
    return tf.ensure_shape(placed[:-1], (None, SIZE, SIZE)), found[:-1]


def _read_one(
    index: tf.Tensor, image: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns index, (150, 150) uint8 slice and error; raises where it is damaged."""
    is_png = tf.equal(tf.strings.substr(image, 0, len(_PNG)), _PNG)
    is_jpeg = tf.equal(tf.strings.substr(image, 0, len(_JPEG)), _JPEG)
    slice_, error = tf.case(
        [
            (is_png, lambda: _guarded(image, _png_sides(image), _decode_png)),
            (
                is_jpeg,
                lambda: _guarded(
                    image, tf.io.extract_jpeg_shape(image)[:2], _decode_jpeg
                ),
            ),
        ],
        default=lambda: _refused(_UNKNOWN),
    )
    return index, slice_, error


def _refused(reason: str) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.zeros((SIZE, SIZE), tf.uint8), tf.constant(reason)


def _png_sides(image: tf.Tensor) -> tf.Tensor:
    """(2,) int32: height and width, as the IHDR chunk at byte 16 says."""
    sides = tf.io.decode_raw(tf.strings.substr(image, 16, 8), tf.int32, False)
    return tf.ensure_shape(sides, (2,))[::-1]


def _guarded(
    image: tf.Tensor, sides: tf.Tensor, decode: Callable[[tf.Tensor], tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes and cuts an image whose header names sides that can be afforded."""
    pixels = tf.reduce_prod(tf.cast(sides, tf.int64))
    in_range = (pixels <= MAX_PIXELS) & (tf.reduce_min(sides) > 0)
    cut: tuple[tf.Tensor, tf.Tensor] = tf.case(
        [
            (tf.logical_not(in_range), lambda: _refused(_TOO_LARGE)),
            (tf.reduce_min(sides) < MIN_SIDE, lambda: _refused(_TOO_SMALL)),
        ],
        default=lambda: _cut(decode(image)),
    )
    return cut


def _decode_png(image: tf.Tensor) -> tf.Tensor:
    """(h, w) float32 grey levels: 16 bits where the file is grey and has them.

    As in Pillow, 16-bit colours and transparent greys are cut to their upper byte.
    """
    header = tf.io.decode_raw(tf.strings.substr(image, 24, 2), tf.uint8)
    deep = tf.equal(header[0], 16)
    grey = tf.equal(header[1], 0)

    def deep_grey() -> tf.Tensor:
        return tf.cast(tf.io.decode_png(image, 1, tf.uint16)[..., 0], tf.float32)

    def colour() -> tf.Tensor:
        # Asked for 8 bits, the decoder takes the upper byte of 16.
        return _luma(tf.io.decode_png(image, 4))

    return tf.cond(deep & grey, deep_grey, colour)


def _decode_jpeg(image: tf.Tensor) -> tf.Tensor:
    """(h, w) float32 grey levels, by the same inverse transform as Pillow's."""
    return _luma(tf.io.decode_jpeg(image, 3, dct_method="INTEGER_ACCURATE"))


def _luma(colours: tf.Tensor) -> tf.Tensor:
    """(h, w) float32 whole grey levels of (h, w, 3 or 4) uint8 colours on black."""
    red, green, blue = (tf.cast(colours[..., at], tf.int32) for at in range(3))
    luma = tf.bitwise.right_shift(
        red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2] + 0x8000, 16
    )
    if colours.shape[-1] == 4:
        luma = (luma * tf.cast(colours[..., 3], tf.int32) + 127) // 255
    return tf.cast(luma, tf.float32)


def _cut(plane: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Windows, resizes and pads a plane as `mri_contrast.slices.cut` does."""
    plane = tf.ensure_shape(plane, (None, None))
    low, high = _window(plane)
    blank = tf.equal(tf.reduce_max(plane), tf.reduce_min(plane))
    scale = tf.maximum(high - low, _TINY)
    shown = tf.clip_by_value((plane - low) / scale, 0, 1)
    slice_ = _square(shown)
    return slice_, tf.where(blank, _BLANK, "")


def _window(plane: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Twin of `find_window` for a single plane of finite pixels."""
    sides = tf.shape(plane)
    strides = -(-sides // SAMPLE_SIDE)
    sample = tf.ensure_shape(plane[:: strides[0], :: strides[1]], (None, None))
    low = _quantile(tf.reshape(sample, [-1]), LOW_QUANTILE)
    above = tf.maximum(sample - low, 0)
    head = above > tf.reduce_mean(above) / 2
    centre = tf.boolean_mask(sample, head & _ellipse(head))
    whole = tf.boolean_mask(sample, head)
    chosen = tf.cond(tf.size(centre) > 0, lambda: centre, lambda: whole)
    high = tf.cond(
        tf.size(chosen) > 0, lambda: _quantile(chosen, HIGH_QUANTILE), lambda: low
    )
    return low, high


def _quantile(values: tf.Tensor, quantile: float) -> tf.Tensor:
    rank = tf.cast(quantile * tf.cast(tf.size(values) - 1, tf.float64), tf.int32)
    return tf.sort(values)[rank]


def _ellipse(head: tf.Tensor) -> tf.Tensor:
    """(h, w) bool: inside the ellipse over the inner 80 % of the head along each axis.

    The third axis of an image has one voxel, at the middle of its own extent.
    """
    distance = tf.zeros_like(head, tf.float32)
    for axis in range(2):
        reached = tf.cumsum(tf.reduce_sum(tf.cast(head, tf.int32), axis=1 - axis))
        total = reached[-1]
        ends = tf.searchsorted(reached * 10, tf.stack([total, total * 9]))
        first, last = tf.unstack(tf.cast(ends, tf.float64), 2)
        steps = tf.range(tf.cast(tf.size(reached), tf.float64), dtype=tf.float64)
        offset = (steps - (first + last) / 2) / ((last - first + 1) / 2)
        squared = tf.cast(offset**2, tf.float32)
        distance += tf.expand_dims(squared, 1 - axis)
    return distance <= 1


def _square(plane: tf.Tensor) -> tf.Tensor:
    """(150, 150) uint8: resized by area to 150 on the longer side, then padded."""
    sides = tf.shape(plane)
    longest = tf.reduce_max(sides)
    exact = SIZE * tf.cast(sides, tf.float64) / tf.cast(longest, tf.float64)
    target = tf.clip_by_value(tf.cast(tf.round(exact), tf.int32), 1, SIZE)
    rows = _area_weights(sides[0], target[0])
    columns = _area_weights(sides[1], target[1])
    resized = tf.matmul(tf.matmul(rows, plane), columns, transpose_b=True)
    before = (SIZE - target) // 2
    padding = tf.stack([before, SIZE - target - before], axis=1)
    square = tf.pad(tf.cast(tf.round(resized * 255), tf.uint8), padding)
    return tf.ensure_shape(square, (SIZE, SIZE))


def _area_weights(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Twin of `mri_contrast.slices.area_weights`: (target, source) float32."""
    ratio = tf.cast(source, tf.float64) / tf.cast(target, tf.float64)
    start = tf.cast(tf.range(target), tf.float64)[:, tf.newaxis] * ratio
    pixel = tf.cast(tf.range(source), tf.float64)[tf.newaxis]
    overlap = tf.minimum(start + ratio, pixel + 1) - tf.maximum(start, pixel)
    return tf.cast(tf.maximum(overlap, 0) / ratio, tf.float32)
