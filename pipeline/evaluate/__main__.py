"""Measures a run or an exported model.

    python -m pipeline.evaluate [--run RUN | --model DIR] [--shards SHARDS]
        [--real FOLDER] [--orientations]

Prints loss and accuracy, writes `evaluation.json` and `report.html` into the run.
"""

import sys

from pipeline.command import run_command
from pipeline.evaluate.measuring import evaluate
from pipeline.evaluate.settings import EvaluateConfig


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(EvaluateConfig, evaluate, prog="python -m pipeline.evaluate")


if __name__ == "__main__":
    sys.exit(main())
