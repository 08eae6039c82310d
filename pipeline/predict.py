"""Says which contrast one scan has, in process, without a server.

python -m pipeline.predict --scan SCAN [--run RUN]
"""

import dataclasses
import sys
from pathlib import Path

from mri_contrast.scans import read_scan
from mri_contrast.slices import cut
from pipeline.command import naming, run_command


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
    with naming(config.scan):
        scan = read_scan(config.scan)
        slices = cut(scan)
    # The scan is read first: a wrong path should not cost 5 s of start-up.
    from pipeline.answering import open_answerer

    answerer = open_answerer(config.run, None)
    verdict = answerer.verdict(answerer.log_probabilities(slices))
    print(f"pred: {verdict.contrast}")
    for name, probability in verdict.probabilities.items():
        print(f"  {name:<6}{probability:8.4f}")
    answered = str(answerer.folder)
    if answerer.kind == "export":
        version = answerer.folder.name
        answered = f"the released model, version {version} (no run of yours yet)"
    print(f"  from {len(slices)} slices by {answered}")
    for note in scan.notes:
        print(f"  note: {note}")


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(PredictConfig, predict, prog="python -m pipeline.predict")


if __name__ == "__main__":
    sys.exit(main())
