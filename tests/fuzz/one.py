"""Fuzzes one target: `python -m tests.fuzz.one nrrd FOUND CORPUS... -max_total_time=9`.

Coverage guides it through our own modules; the libraries below are not instrumented.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mri_contrast"]):
    # Imported by the readers when needed; instrumented only if that happens in here.
    import mri_contrast._dicom
    import mri_contrast._images
    import mri_contrast._mgh
    import mri_contrast._zips  # noqa: F401
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    target, found = TARGETS[sys.argv[1]], Path(sys.argv[2])

    def keeping(content: bytes) -> None:
        """Keeps what breaks a promise, which atheris alone does not always."""
        try:
            target(content)
        except BaseException:
            name = hashlib.sha256(content).hexdigest()[:16]
            (found / f"crash-{name}").write_bytes(content)
            raise

    atheris.Setup([sys.argv[0], *sys.argv[3:]], keeping)
    atheris.Fuzz()
