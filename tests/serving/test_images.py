"""The `encoded` signature must see an image as the client's reader and slicer do."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorflow_serving.apis import predict_pb2

from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import read_scan
from mri_contrast.slices import cut
from pipeline.contrasts import CLASSES
from serving.images import MAX_PIXELS
from serving.images import read_images as read_images_eagerly

# Traced once, as in the exported model.
read_images = tf.function(
    read_images_eagerly,
    input_signature=[tf.TensorSpec((None,), tf.string)],
    autograph=False,
)

SHAPES = [(150, 150), (257, 181), (33, 200), (500, 17), (16, 16), (701, 1000)]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(h, w) float in [0, 1]: a textured head on a dark ground."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    head = rows**2 / 0.8 + columns**2 / 0.6
    noise = np.random.default_rng(seed).random((height, width))
    waves = 0.5 + 0.3 * np.sin(9 * rows) * np.cos(7 * columns)
    return np.clip(np.where(head < 1, waves, 0.02) + 0.1 * noise, 0, 1)


def grey8(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((255 * pixels).astype(np.uint8))


def grey16(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((65535 * pixels).astype(np.uint16))


def grey12(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((185 * pixels).astype(np.uint16))


def colour(pixels: np.ndarray) -> Image.Image:
    channels = [pixels, pixels**2, 1 - pixels]
    return Image.fromarray((255 * np.stack(channels, -1)).astype(np.uint8))


def palette(pixels: np.ndarray) -> Image.Image:
    return colour(pixels).quantize(64)


def transparent_palette(pixels: np.ndarray) -> Image.Image:
    image = palette(pixels)
    image.info["transparency"] = bytes(range(0, 256, 4))
    return image


def transparent(pixels: np.ndarray) -> Image.Image:
    image = colour(pixels)
    image.putalpha(grey8(pixels[::-1]))
    return image


def transparent_grey(pixels: np.ndarray) -> Image.Image:
    image = grey8(pixels)
    image.putalpha(grey8(pixels[::-1]))
    return image


def bilevel(pixels: np.ndarray) -> Image.Image:
    return grey8(pixels).convert("1")


PNG_KINDS = [
    *(grey8, grey16, grey12, colour, palette, transparent_palette),
    *(transparent, transparent_grey, bilevel),
]


def encode(image: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def with_header(width: int, height: int) -> bytes:
    """A small PNG whose header claims other sides, with a valid checksum."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header))
    return encode(grey8(picture(32, 32)))[:12] + header + check + b"\0" * 64


def deep_colour() -> bytes:
    """A PNG with 16 bits a colour, which Pillow cannot write."""
    pixels = picture(60, 80)
    channels = 65535 * np.stack([pixels, pixels**2, 1 - pixels], -1)
    return tf.io.encode_png(channels.astype(np.uint16)).numpy()


IMAGES = {
    **{
        f"{kind.__name__} {height}x{width}": encode(kind(picture(height, width)))
        for kind in PNG_KINDS
        for height, width in SHAPES
    },
    "16-bit colour": deep_colour(),
    "written by TensorFlow": tf.io.encode_png(
        (255 * picture(90, 70)[..., None]).astype(np.uint8)
    ).numpy(),
    "JPEG": encode(grey8(picture(190, 160)), "JPEG"),
    "JPEG in colour": encode(colour(picture(191, 333)), "JPEG", quality=80),
    "progressive JPEG": encode(colour(picture(80, 99)), "JPEG", progressive=True),
}


def test_slices_equal_the_clients_within_one_grey_level():
    slices, errors = read_images(tf.constant(list(IMAGES.values())))
    assert set(errors.numpy()) == {b""}
    wrong = {}
    for name, slice_ in zip(IMAGES, slices.numpy(), strict=True):
        clients = cut(read_scan(IMAGES[name]))[0].astype(int)
        difference = np.abs(slice_.astype(int) - clients)
        if difference.max() > 1 or (difference > 0).mean() > 0.01:
            wrong[name] = (difference.max(), (difference > 0).mean())
    assert not wrong


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(PNG_KINDS),
    height=st.integers(16, 400),
    width=st.integers(16, 400),
    seed=st.integers(0, 2**32 - 1),
)
def test_log_probabilities_equal_the_clients_path(serving, kind, height, width, seed):
    image = encode(kind(picture(height, width, seed)))
    encoded = ask(serving, "encoded", images=np.array([image], object))
    sent = ask(serving, "slices_v1", slices=cut(read_scan(image)))
    np.testing.assert_allclose(encoded, sent, atol=0.02)


def ask(serving, signature: str, **inputs: np.ndarray) -> np.ndarray:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "mri_contrast"
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    outputs = serving.predict.Predict(request).outputs
    return np.stack([outputs[name].float_val for name in CLASSES], axis=1)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (encode(grey8(np.zeros((40, 40)))), "blank"),
        (encode(grey8(picture(15, 300))), "shorter than 16 pixels"),
        (encode(grey8(picture(90, 90)))[:700], "damaged"),
        (encode(grey8(picture(90, 90)), "JPEG")[:20], "damaged"),
        (encode(grey8(picture(90, 90)), "GIF"), "neither a PNG nor a JPEG"),
        (b"", "neither a PNG nor a JPEG"),
    ],
    ids=["blank", "thin", "cut PNG", "cut JPEG", "GIF", "empty"],
)
def test_an_unreadable_image_says_why_and_gives_a_black_slice(image, reason):
    slices, errors = read_images(tf.constant([image]))
    assert reason in errors.numpy()[0].decode()
    assert not slices.numpy().any()


def test_the_client_refuses_blank_and_thin_images_too():
    for pixels in (np.zeros((40, 40)), picture(15, 300)):
        scan = read_scan(encode(grey8(pixels)))
        with pytest.raises(UnreadableScan):
            cut(scan)


@pytest.mark.parametrize(
    ("width", "height"), [(MAX_PIXELS, 2), (65500, 65500), (0, 40), (2**31, 2**31)]
)
def test_a_header_that_claims_too_much_is_refused_before_decoding(width, height):
    _slices, errors = read_images(tf.constant([with_header(width, height)]))
    assert "pixels" in errors.numpy()[0].decode()


def test_no_images_are_no_slices():
    slices, errors = read_images(tf.constant([], tf.string))
    assert slices.shape == (0, 150, 150)
    assert errors.shape == (0,)
