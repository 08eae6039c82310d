"""An append-only record of decisions, without anything that tells whose scan it was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class Audit:
    """Writes one JSON line a decision; threads and processes may share the file.

    A line holds `time` (UTC), `content` (salted hash of the slices; null of a scan that
    cannot be read), `model`, `model_version`, `verdict`, `probability`, `latency_ms` of
    the call and `error` (its class). Who has the salt and a scan can tell whether it
    was asked about; who has the file alone cannot. Lines are only ever added, so that
    the file may be rotated by renaming it.
    """

    def __init__(self, path: str | os.PathLike[str], salt: bytes | None = None) -> None:
        """Opens nothing yet, but finds or makes the salt.

        Args:
            path: of the file; it is made with the first decision.
            salt: secret of the hashes; None takes the one in the file `<path>.salt`,
                which is made at random, for its owner's eyes alone, if there is none.

        Raises:
            ValueError: an empty salt.
            OSError: the salt cannot be read or written.
        """
        self._path = Path(path)
        self._salt = _kept_salt(self._path) if salt is None else salt
        if not self._salt:
            raise ValueError("the salt is empty; give some random bytes, or None")

    def content(self, slices: npt.NDArray[np.uint8]) -> str:
        """The salted hash by which slices are known in the file."""
        import hmac  # loads OpenSSL, which clients without an audit file need not

        return hmac.new(self._salt, slices.tobytes(), "sha256").hexdigest()

    def write(self, decision: Mapping[str, Any]) -> None:
        """Adds a line, with the time.

        Raises:
            OSError: it cannot be written; no decision goes unrecorded.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **decision}) + "\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())  # at once: no other writer comes between
        finally:
            os.close(file)


def _kept_salt(path: Path) -> bytes:
    beside = path.with_name(f"{path.name}.salt")
    try:
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return beside.read_bytes()
    with os.fdopen(file, "wb") as stream:
        salt = os.urandom(32).hex().encode()
        stream.write(salt)
    return salt
