"""Finds the labelled scans of a data set, whichever layout it has.

The subject is the CSV's column, BIDS's `sub-01`, the `497` of `T1_497_3.png` (one
person, whichever class the name begins with), the `IXI002-Guys` of `IXI002-Guys-T1`,
the folder inside a class folder, and where nothing of the kind is there the file's
stem.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.contrasts import ACCEPTED, CLASSES
from pipeline.labelled import LabelledScan
from pipeline.layouts import recognise

_log = logging.getLogger(__name__)

_ALL_APART: Final = 20
"""So many scans of as many people are worth a question."""


def find_scans(root: Path, *, required: Sequence[str] = ACCEPTED) -> list[LabelledScan]:
    """Finds the labelled scans of a data set, in a fixed order.

    Args:
        root: Folder, or CSV file.
        required: Classes of which there must be at least one scan.

    Returns:
        The scans, ordered by name; none has been opened yet.

    Raises:
        FileNotFoundError: `root` does not exist.
        ValueError: No layout is recognised, a folder or label names no class, or a
            required class is missing.
    """
    if not root.exists():
        raise FileNotFoundError(f"{root} does not exist; name a folder or a CSV file")
    layout, found_scans = recognise(root)
    scans: list[LabelledScan] = list(found_scans)
    scans.sort(key=lambda scan: scan.name)
    if not scans:
        raise ValueError(
            f"{root} ({layout}) holds no scans; put PNG, JPEG, TIFF, NIfTI or DICOM "
            f"files into folders named {', '.join(CLASSES)}"
        )
    counts = Counter(scan.contrast for scan in scans)
    found = ", ".join(f"{counts[name]} {name}" for name in CLASSES)
    _log.info("%s: %s, %d scans: %s", root, layout, len(scans), found)
    missing = [name for name in required if not counts[name]]
    if missing:
        raise ValueError(
            f"{root} ({layout}) holds no {' and no '.join(missing)} scan, only {found};"
            f" add scans of each of {', '.join(required)}"
        )
    if len(scans) > _ALL_APART and _all_apart(scans):
        _log.warning(
            "no two of the %d scans share a subject; if some are of one person, they "
            "may land in different splits: name subjects in a CSV (docs/train.md)",
            len(scans),
        )
    if not counts["other"]:
        _log.warning(
            "no scan of the class 'other': the network will not learn to turn away "
            "what is no T1, T2 or FLAIR; add some, or simulated ones: --mix-other 0.25"
        )
    return scans


def _all_apart(scans: Sequence[LabelledScan]) -> bool:
    """Tells whether no two share a subject; mostly the first few show that some do."""
    seen: set[str] = set()
    for scan in scans:
        if scan.subject in seen:
            return False
        seen.add(scan.subject)
    return True
