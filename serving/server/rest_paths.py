"""Paths of the REST API: what is asked of which model."""

import re
from typing import Final
from urllib.parse import unquote

from tensorflow_serving.apis import model_pb2

from serving.server.errors import invalid
from serving.versions import VERSION_LIMIT

_VERSION: Final = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_INFER: Final = re.compile(
    rf"(?ai)/v1/models/([^/:]+){_VERSION}:(classify|regress|predict)"
)
_STATUS: Final = re.compile(rf"(?ai)/v1/models(?:/([^/:]+))?{_VERSION}(?:/(metadata))?")


def parse(method: str, path: str) -> tuple[str, model_pb2.ModelSpec]:
    """Reads a path.

    Args:
        method: HTTP's.
        path: As it was sent, with its percent signs.

    Returns:
        `classify`, `regress`, `predict`, `status` or `metadata`; and the model.

    Raises:
        ServingError: There is nothing of this path and method.
    """
    match = {"POST": _INFER, "GET": _STATUS}.get(method, _INFER).fullmatch(path)
    if match is None or method not in ("GET", "POST"):
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label, what = match.groups()
    if not name:
        raise invalid("Missing model name in request.")
    spec = model_pb2.ModelSpec(name=_decoded(name))
    if version is not None:
        if len(version) > 20 or int(version) >= VERSION_LIMIT:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(version)
    elif label is not None:
        spec.version_label = _decoded(label)
    return (what or "status").lower(), spec


def _decoded(text: str) -> str:
    return unquote(text, errors="replace")
