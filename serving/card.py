"""The model card: what a version is, what it was made from, how well it does."""

import dataclasses
import importlib.metadata
import platform
from pathlib import Path
from typing import Any, Final

from mri_contrast import slices
from pipeline.files import write_json
from pipeline.provenance import made_with
from pipeline.runs import Run
from serving.card_page import write_page
from serving.figures import published
from serving.inspecting import CARD
from serving.revision import source_revision
from serving.signatures import SLICES

LIBRARIES: Final = ("tensorflow", "keras", "numpy", "mri-contrast")
"""Ours, the client's, cut the slices."""

LICENCE: Final = "Apache-2.0"

INTENDED_USE: Final = (
    "Routing and quality check of scans that people upload to a platform: tells "
    "T1-weighted, T2-weighted and FLAIR MRI of the head apart, `other` for anything "
    "else, `unsure` where it cannot tell."
)

NO_DEVICE: Final = (
    "Not a medical device: it says nothing about health and must not be used for "
    "diagnosis or treatment."
)


def write_card(model: Path, name: str, run: Run, evidence: dict[str, Any]) -> None:
    """Writes `assets.extra/model_card.json` into a SavedModel, and it as a page.

    Args:
        model: The SavedModel's folder.
        name: The model's name.
        run: What it was exported from.
        evidence: What the gate found.
    """
    card = {
        "name": name,
        "intended_use": INTENDED_USE,
        "warning": NO_DEVICE,
        "licence": LICENCE,
        "classes": list(run.classes),
        "slices": {"signature": SLICES, "slicer_version": slices.VERSION},
        "calibration": dataclasses.asdict(run.calibration),
        "metrics": published(run.metrics) or None,  # None: never evaluated
        "data_manifest_sha256": run.manifest_sha256,
        "hyper_parameters": run.hyper,
        "parameters": run.model.count_params(),
        "run": run.path.name,
        "training": made_with(run.path),
        "source_revision": source_revision(),
        "libraries": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
        },
        "gate": evidence,
    }
    write_json(model / CARD, card)
    write_page(model, card)
