"""Enters an evaluation's goal rows into the table: `real.*` and `volume.*`.

    make evaluate SHARDS=data/shards/sealed ARGS="--model serving/released/mri_contrast"
    python -m bench.record runs/evaluate/mri_contrast-1/evaluation.json

An evaluation alone leaves the table as it is: mostly it is of another model.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from bench import results
from bench.results import Row
from pipeline.command import run_command


@dataclasses.dataclass(frozen=True, slots=True)
class RecordConfig:
    """Enters the rows of an evaluation into the table.

    Attributes:
        evaluation: The `evaluation.json`.
        out: The table. Rows of the same machine stay, but for those of the same
            names.
    """

    evaluation: Annotated[Path, tyro.conf.Positional]
    out: Path = results.RESULTS


def rows_of(evaluation: Path) -> list[Row]:
    """Reads the goal rows of an `evaluation.json`; each tells which model it is of.

    Raises:
        OSError: There is none.
        ValueError: It is of an older version, or no evaluation.
    """
    try:
        content = json.loads(evaluation.read_text())
        name = content["model"]["name"]
        return [
            Row(**{**row, "detail": f"{name}: {row['detail']}"})
            for row in content["rows"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{evaluation} holds no rows of an evaluation ({error!r}); name the "
            "evaluation.json that `make evaluate` wrote"
        ) from error


def work(config: RecordConfig) -> None:
    """Writes the rows and shows them."""
    rows = rows_of(config.evaluation)
    results.save(rows, config.out)
    results.show(rows)
    print(f"written: {config.out}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        RecordConfig, work, prog="python -m bench.record", arguments=arguments
    )


if __name__ == "__main__":
    sys.exit(main())
