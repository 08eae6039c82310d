"""Keys and certificates for tests of TLS, by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_NAMES = "subjectAltName=DNS:{name},IP:127.0.0.1"


@dataclass(frozen=True)
class Pair:
    """Where a certificate and its private key are."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; `ca` is its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.ca = folder / "ca"
        self._openssl(
            "req", "-x509", *_NEW, "-keyout", "ca.key", "-out", "ca", "-subj", "/CN=ca"
        )

    def pair(
        self, file: str, *, name: str = "localhost", expired: bool = False
    ) -> Pair:
        """Makes a certificate of a host name; an expired one ended a day ago."""
        (self._folder / "names").write_text(_NAMES.format(name=name))
        made = ("-keyout", f"{file}.key", "-out", f"{file}.csr", "-subj", f"/CN={name}")
        self._openssl("req", *_NEW, *made)
        signed = ("-CA", "ca", "-CAkey", "ca.key", "-CAcreateserial", "-out", file)
        dates = ("-days", "-1")
        self._openssl(
            *("x509", "-req", "-in", f"{file}.csr", *signed, "-extfile", "names"),
            *(dates if expired else ()),
        )
        return Pair(self._folder / file, self._folder / f"{file}.key")

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self._folder, check=False, capture_output=True
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
