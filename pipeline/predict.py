"""Says which contrast one scan has, in process, without a server.

python -m pipeline.predict --scan SCAN [--run RUN]
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_contrast.scans import read_scan
from mri_contrast.slices import cut
from mri_contrast.verdict import Verdict
from pipeline.command import run_command


@dataclasses.dataclass(frozen=True, slots=True)
class PredictConfig:
    """Identifies one scan.

    Attributes:
        scan: NIfTI, DICOM (file, folder or zip), PNG, JPEG or TIFF.
        run: The run whose network answers; the newest finished one if not given, and
            the released model where there is none.
    """

    scan: Path
    run: Path | None = None


def predict(config: PredictConfig) -> None:
    """Prints the verdict and the probability of every class."""
    scan = read_scan(config.scan)
    slices = cut(scan)
    verdict, answered = _judge(slices, config.run)
    print(f"pred: {verdict.contrast}")
    for name, probability in verdict.probabilities.items():
        print(f"  {name:<6}{probability:8.4f}")
    print(f"  from {len(slices)} slices by {answered}")
    for note in scan.notes:
        print(f"  note: {note}")


def _judge(slices: NDArray[np.uint8], named: Path | None) -> tuple[Verdict, str]:
    """Returns the verdict on a scan's slices, and which model gave it."""
    # The scan was read first: a wrong path should not cost 5 s of start-up.
    from pipeline import released, scoring
    from pipeline.runs import load_run, newest_run

    model = released.find_released()
    try:
        run = named or newest_run()
    except FileNotFoundError:
        if model is None:
            raise
        answering = released.load_released(model)
        said = f"the released model, version {answering.version} (no run of yours yet)"
        return answering.judge(slices), said
    loaded = load_run(run)
    logits = scoring.forward_pass(loaded.model)(slices).numpy()
    return scoring.verdict_of(logits, loaded.classes, loaded.calibration), str(run)


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(PredictConfig, predict, prog="python -m pipeline.predict")


if __name__ == "__main__":
    sys.exit(main())
