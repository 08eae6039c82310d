"""Chooses anew above which probability a verdict is accepted; trains nothing.

python -m pipeline.recalibrate --run RUN --risk 0.01
"""

import dataclasses
import json
import sys
from pathlib import Path

from pipeline import files, scoring
from pipeline.calibration import calibrate
from pipeline.command import run_command
from pipeline.dataset import evaluation_batches, explained_damage
from pipeline.files import write_json
from pipeline.preparation import VALIDATION_BATCH
from pipeline.runs import load_run


@dataclasses.dataclass(frozen=True, slots=True)
class RecalibrateConfig:
    """Calibrates a finished run for another risk, on its own validation scans.

    Attributes:
        run: The run; its evaluation is dropped, since it is of the old calibration.
        risk: Share of wrong verdicts to expect among those that are not `unsure`, in
            (0, 1).
    """

    run: Path
    risk: float

    def __post_init__(self) -> None:
        if not 0 < self.risk < 1:
            raise ValueError(f"risk must be above 0 and below 1, got {self.risk}")


def recalibrate(config: RecalibrateConfig) -> None:
    """Writes the run's `calibration.json` and the risk in its `config.json`."""
    run = load_run(config.run)
    with explained_damage(run.shards):
        batches = evaluation_batches(
            run.shards, "validation", batch_size=VALIDATION_BATCH
        )
        found = calibrate(scoring.score(run.model, batches), config.risk)
    for name in ("evaluation.json", "report.html"):
        (config.run / name).unlink(missing_ok=True)
    with files.locked(config.run / "lock", f"trains {config.run}"):
        # Killed in between, the run accepts as is asked for now, and tells the risk of
        # before: the same command mends that.
        found.save(config.run)
        settings = json.loads((config.run / "config.json").read_text())
        write_json(config.run / "config.json", {**settings, "risk": config.risk})
    print(
        f"verdicts of {config.run} are accepted from {found.accept:.4f} on, before "
        f"from {run.calibration.accept:.4f}; next: make evaluate RUN={config.run}"
    )


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        RecalibrateConfig, recalibrate, prog="python -m pipeline.recalibrate"
    )


if __name__ == "__main__":
    sys.exit(main())
