"""Fuzzes one target until libFuzzer's limits: `python -m tests.fuzz.one nrrd DIR -...`.

Coverage guides it through our own modules; the libraries below are not instrumented.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["mri_contrast"]):
    # Imported by the readers when needed; instrumented only if that happens in here.
    import mri_contrast._dicom
    import mri_contrast._images
    import mri_contrast._mgh
    import mri_contrast._zips  # noqa: F401
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()
