"""Explains one scan on one page: slices, probabilities, and where the network looked.

python -m pipeline.explain --scan SCAN --out explain.png [--run RUN | --model DIR]
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_contrast.scans import read_scan
from mri_contrast.slices import cut_planes
from pipeline.command import naming, run_command


@dataclasses.dataclass(frozen=True, slots=True)
class ExplainConfig:
    """Draws a page about one scan.

    Attributes:
        scan: NIfTI, DICOM (file, folder or zip), PNG, JPEG or TIFF.
        out: The PNG.
        run: The run whose network answers; the newest finished one if neither it nor
            a model is given, and the released model where there is none.
        model: An exported model, or a folder of versions, in place of a run.
    """

    scan: Path
    out: Path = Path("explain.png")
    run: Path | None = None
    model: Path | None = None


def middle_slices(
    planes: dict[int, NDArray[np.uint8]], wanted: int = 3
) -> tuple[NDArray[np.uint8], list[int]]:
    """Chooses slices to show: the middle one of each plane, more where planes are few.

    Args:
        planes: Axis to its slices (n, 150, 150) uint8, as `cut_planes` gives them.
        wanted: How many to show; fewer where the scan has fewer slices.

    Returns:
        (m, 150, 150) uint8 and the axis of each.
    """
    each = -(-wanted // len(planes))
    shown: list[NDArray[np.uint8]] = []
    axes: list[int] = []
    for axis, slices in planes.items():
        count = min(each, len(slices), wanted - len(shown))
        # The middle of each of `count` equal parts: for one the very middle.
        at = ((np.arange(count) + 0.5) / max(count, 1) * len(slices)).astype(int)
        shown.extend(slices[at])
        axes.extend([axis] * count)
    return np.stack(shown), axes


def explain(config: ExplainConfig) -> None:
    """Reads the scan, asks about all its slices, draws the page."""
    with naming(config.scan):
        scan = read_scan(config.scan)
        planes = cut_planes(scan)
    # The scan is read first: a wrong path should not cost 5 s of start-up.
    from pipeline.answering import open_answerer
    from pipeline.report.one_scan import Page, write_page

    answerer = open_answerer(config.run, config.model)
    slices = np.concatenate(list(planes.values()))
    verdict = answerer.verdict(answerer.log_probabilities(slices))
    shown, axes = middle_slices(planes)
    page = Page(
        scan=config.scan.name,
        model=answerer.name,
        kind=answerer.kind,
        accept=answerer.accept,
        verdict=verdict,
        count=len(slices),
        axes=axes,
        slices=shown,
        said=np.exp(answerer.log_probabilities(shown)),
        heat=answerer.heat(shown),
        notes=scan.notes,
    )
    write_page(config.out, page)
    print(f"pred: {verdict.contrast} ({verdict.probability:.3f})")
    print(f"written: {config.out}")


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(ExplainConfig, explain, prog="python -m pipeline.explain")


if __name__ == "__main__":
    sys.exit(main())
