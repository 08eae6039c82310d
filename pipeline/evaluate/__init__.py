"""Measures what answers: every example of a split once, and real scans.

    settings.py      what can be told; measuring.py: the whole way; console.py: prints
    answers.py       what was said of slices and scans beside the truth
    metrics.py       loss, accuracy, ROC areas, false accepts; groups.py: apart by group
    reliability.py   calibration; coverage.py: risk against coverage
    intervals.py     exact ones, and subjects drawn anew
    hard.py          calibration on spoiled scans; degrade.py: spoils them
    real.py          real scans; orientations.py: ways to turn them
    rows.py          the figures that have a goal

The same model and data give the same `evaluation.json`.
"""

from pipeline.evaluate.measuring import evaluate
from pipeline.evaluate.real import real_scans
from pipeline.evaluate.settings import EvaluateConfig

__all__ = ["EvaluateConfig", "evaluate", "real_scans"]
