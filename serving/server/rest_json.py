"""JSON of requests: reading it, and showing it in refusals as TF Serving does."""

import base64
import binascii
import json
from typing import Any, Final

from serving.server.errors import ServingError, invalid

_SHOWN: Final = 256
"""Characters of a value that a refusal repeats."""


def parse(body: bytes) -> dict[str, Any]:
    """Reads the JSON object of a request; NaN and Infinity are numbers in it.

    Raises:
        ServingError: It is no JSON, or no object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(parsed, dict):
        raise format_error(parsed, "Is not object")
    return parsed


def signature_name(body: dict[str, Any]) -> str:
    """Returns the signature that a request names, empty for the default one.

    Raises:
        ServingError: It is no text.
    """
    name = body.get("signature_name", "")
    if not isinstance(name, str):
        raise format_error(
            body,
            "not formatted correctly. 'signature_name' key must be a string value.",
        )
    return name.encode(errors="replace").decode()


def format_error(value: Any, text: str) -> ServingError:
    """Returns the refusal of a value, which it repeats in part."""
    return invalid(f"JSON Value: {shown(value)} {text}")


def shown(value: Any) -> str:
    """Returns the beginning of a value as JSON."""
    text = ""
    # Not at once: a request may hold millions of numbers.
    for part in json.JSONEncoder().iterencode(value):
        text += part
        if len(text) >= _SHOWN:
            return text[:_SHOWN]
    return text


def type_name(value: Any) -> str:
    """Returns what kind of JSON a value is, as refusals name it."""
    if value is None or isinstance(value, bool):
        return "Null" if value is None else str(value)
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def is_base64(value: Any) -> bool:
    """Whether a value is `{"b64": "..."}`: bytes that are no text."""
    return (
        isinstance(value, dict)
        and set(value) == {"b64"}
        and isinstance(value["b64"], str)
    )


def decode_base64(value: Any) -> bytes:
    """Returns the bytes of `{"b64": "..."}`; padding and spaces may be missing.

    Raises:
        ServingError: It is no base64.
    """
    if not is_base64(value):
        raise format_error(value, "not formatted correctly for base64 data")
    text = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def encode_text(value: str) -> bytes:
    """Returns a JSON string's bytes.

    Raises:
        ServingError: It holds half a surrogate pair, which is in no UTF-8.
    """
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise format_error(value, "holds half a surrogate pair") from None
