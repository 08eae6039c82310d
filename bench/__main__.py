"""Measures what can be measured here, prints a table and writes `results.json`.

python -m bench
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import inputs, results
from bench.material import prepare
from bench.timing import Effort
from pipeline.command import run_command


@dataclasses.dataclass(frozen=True, slots=True)
class BenchConfig:
    """Compares speed with the study's program and with the machine's limits.

    Attributes:
        out: Where the figures go.
        material: Folder for the slices that are measured on; kept between runs.
        slices: Number of slices; 4096 are 92 MB, more than the input's shuffle buffer.
        subjects: Simulated heads that the slices are cut from.
        seconds: Time counted for each contestant in each round.
        repeats: Rounds; the median counts.
    """

    out: Path = results.RESULTS
    material: Path = Path("data/bench")
    slices: int = 4096
    subjects: int = 6
    seconds: float = 3.0
    repeats: int = 5

    def __post_init__(self) -> None:
        if self.slices < inputs.BATCH:
            raise ValueError(
                f"slices must fill a batch of {inputs.BATCH}, got {self.slices}"
            )
        for name in ("subjects", "seconds", "repeats"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")


def work(config: BenchConfig) -> None:
    """Prepares the material, measures, writes and shows the rows."""
    material = prepare(config.material, slices=config.slices, subjects=config.subjects)
    effort = Effort(config.seconds, config.repeats)
    rows = [
        inputs.against_study(material, effort),
        inputs.against_limit(material, effort),
    ]
    results.save(rows, config.out)
    results.show(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(BenchConfig, work, prog="python -m bench", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
