"""Says which contrast one scan has, in process, without a server.

python -m pipeline.predict --scan SCAN [--run RUN]
"""

import dataclasses
import sys
from pathlib import Path

from mri_contrast.scans import read_scan
from mri_contrast.slices import cut
from pipeline.command import run_command


@dataclasses.dataclass(frozen=True, slots=True)
class PredictConfig:
    """Identifies one scan.

    Attributes:
        scan: NIfTI, DICOM (file, folder or zip), PNG, JPEG or TIFF.
        run: The run whose network answers; the newest finished one if not given.
    """

    scan: Path
    run: Path | None = None


def predict(config: PredictConfig) -> None:
    """Prints the verdict and the probability of every class."""
    scan = read_scan(config.scan)
    slices = cut(scan)
    # The scan is read first: a wrong path should not cost 5 s of start-up.
    from pipeline import scoring
    from pipeline.runs import load_run, newest_run

    run = load_run(config.run or newest_run())
    logits = scoring.forward_pass(run.model)(slices).numpy()
    verdict = scoring.verdict_of(logits, run.classes, run.calibration)
    print(f"pred: {verdict.contrast}")
    for name, probability in verdict.probabilities.items():
        print(f"  {name:<6}{probability:8.4f}")
    print(f"  from {len(slices)} slices by {run.path}")
    for note in scan.notes:
        print(f"  note: {note}")


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(PredictConfig, predict, prog="python -m pipeline.predict")


if __name__ == "__main__":
    sys.exit(main())
