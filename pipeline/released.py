"""Where the released model lies: what answers where nobody has trained anything.

It is one version folder, `serving/released/mri_contrast/1`, as TF Serving takes it;
`pipeline.answering` opens it like any exported model.
"""

from pathlib import Path
from typing import Final

RELEASED: Final = (
    Path(__file__).resolve().parents[1] / "serving" / "released" / "mri_contrast"
)
"""Its numbered folder lies in here; the newest counts."""


def find_released(folder: Path = RELEASED) -> Path | None:
    """Returns the version folder of the released model; None where there is none."""
    if not folder.is_dir():
        return None
    versions = [
        child
        for child in folder.iterdir()
        if child.name.isdecimal() and (child / "saved_model.pb").is_file()
    ]
    return max(versions, key=lambda child: int(child.name), default=None)
