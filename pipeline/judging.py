"""Real scans that trainings are compared by: read once, judged by each network."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import mri_contrast.slices
from mri_contrast.errors import UnreadableScan
from mri_contrast.slices import cut
from pipeline.contrasts import ACCEPTED, CLASSES

if TYPE_CHECKING:  # TensorFlow, which reading scans need not wait for
    from pipeline.answering import Answerer

Judged: TypeAlias = tuple[float, float, bool]
"""Share of right slices; the truth's probability by all, whether it is likeliest."""


@dataclass(frozen=True, slots=True)
class RealScan:
    """A real scan, cut.

    Attributes:
        name: In the manifest. contrast: Its class. subject: The person.
        slices: (n, 150, 150) uint8.
    """

    name: str
    contrast: str
    subject: str
    slices: NDArray[np.uint8]


def accepted_scans(root: Path) -> Iterator[RealScan]:
    """Cuts all T1, T2 and FLAIR scans of a folder or CSV file that give slices."""
    return cut_scans(root, ACCEPTED)


def cut_scans(root: Path, classes: Sequence[str] = CLASSES) -> Iterator[RealScan]:
    """Cuts all scans of some classes of a folder or CSV file that give slices."""
    from pipeline.evaluate import real_scans

    for scan in real_scans(root):
        if scan.contrast not in classes:
            continue
        try:
            slices = cut(scan.read())
        except UnreadableScan:
            continue
        yield RealScan(scan.name, scan.contrast, scan.subject, slices)


def identity_of(root: Path) -> str:
    """A digest of names, classes and people of all scans there, and of the slicer."""
    from pipeline.evaluate import real_scans

    listed = [(scan.name, scan.contrast, scan.subject) for scan in real_scans(root)]
    told = repr((mri_contrast.slices.VERSION, sorted(listed)))
    return hashlib.sha256(told.encode()).hexdigest()


def judge(answerer: "Answerer", scans: Iterable[RealScan]) -> dict[str, Judged]:
    """Judges scans by name.

    Args:
        answerer: The network of a run, or an exported model.
        scans: Of the classes that it tells apart.
    """
    found = {}
    for scan in scans:
        logs = answerer.log_probabilities(scan.slices)
        shares = answerer.verdict(logs).probabilities
        truth = answerer.classes.index(scan.contrast)
        found[scan.name] = (
            float((logs.argmax(1) == truth).mean()),
            float(shares[scan.contrast]),
            max(shares, key=shares.__getitem__) == scan.contrast,
        )
    return found


def losses(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-losses of the truth's probabilities, none above 13.8."""
    return -np.log(probabilities.clip(1e-6))


def refuse_other(
    path: Path, stored: dict[str, Any], wanted: dict[str, Any], remedy: str
) -> None:
    """Refuses a stored result that was measured with other settings.

    Args:
        path: Where it is.
        stored: Its settings.
        wanted: Those of now.
        remedy: What to do about it.

    Raises:
        ValueError: A setting differs, or is not noted at all.
    """
    other = [name for name in wanted if stored.get(name) != wanted[name]]
    if other:
        raise ValueError(f"{path} is of another {' and '.join(other)}; {remedy}")
