"""gzip of request bodies and answers."""

import gzip
import io
import zlib
from typing import Final

import grpc

from serving.server.errors import ServingError, invalid

MOST_BYTES: Final = 100 * 1024 * 1024
"""Of a body, also once it is unzipped, as in TF Serving: 100 KiB of gzip can hold
them."""

_WORTH_BYTES: Final = 1400
"""Shorter answers fit one packet as they are."""


class BodyTooLargeError(Exception):
    """A request's body is too large."""


def unzipped(body: bytes, encoding: str) -> bytes:
    """Returns a request's body as it was before its Content-Encoding.

    Raises:
        BodyTooLargeError: It would be larger than `MOST_BYTES`.
        ServingError: It is no gzip, or of another encoding.
    """
    if encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise ServingError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "a body may be encoded by gzip alone, or not at all",
        )
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            content = file.read(MOST_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise invalid(f"the body is no gzip: {error}") from None
    if len(content) > MOST_BYTES:
        raise BodyTooLargeError(
            f"the body is larger than {MOST_BYTES} bytes once it is unzipped"
        )
    return content


def is_gzip_accepted(accept: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    for part in accept.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def zipped(content: bytes) -> bytes | None:
    """Returns an answer's gzip; None where it is not worth it."""
    if len(content) < _WORTH_BYTES:
        return None
    # Level 1: numbers shrink to a half by it, and hardly further by level 9.
    return gzip.compress(content, compresslevel=1, mtime=0)
