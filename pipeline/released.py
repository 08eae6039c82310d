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


def newest_version(folder: Path = RELEASED) -> Path | None:
    """Returns the newest version in a folder of versions; None where there is none.

    Args:
        folder: Of the released model, or of any other's versions.
    """
    versions = [path.parent for path in folder.glob("*/saved_model.pb")]
    numbered = [path for path in versions if path.name.isdecimal()]
    return max(numbered, key=lambda path: int(path.name), default=None)
