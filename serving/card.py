"""The model card: what a version is, what it was made from, how well it does."""

import dataclasses
import importlib.metadata
from pathlib import Path
from typing import Any

from mri_contrast import slices
from pipeline.files import write_json
from pipeline.runs import Run
from serving.revision import source_revision
from serving.signatures import SLICES

LIBRARIES = ("tensorflow", "keras", "numpy")


def write_card(model: Path, name: str, run: Run, evidence: dict[str, Any]) -> None:
    """Writes `assets.extra/model_card.json` into a SavedModel.

    Args:
        model: The SavedModel's folder.
        name: The model's name.
        run: What it was exported from.
        evidence: What the gate found.
    """
    card = {
        "name": name,
        "classes": list(run.classes),
        "slices": {"signature": SLICES, "slicer_version": slices.VERSION},
        "calibration": dataclasses.asdict(run.calibration),
        "metrics": run.metrics or None,  # None: never evaluated
        "data_manifest_sha256": run.manifest_sha256,
        "hyper_parameters": run.hyper,
        "run": run.path.name,
        "source_revision": source_revision(),
        "libraries": {
            library: importlib.metadata.version(library) for library in LIBRARIES
        },
        "gate": evidence,
    }
    write_json(model / "assets.extra" / "model_card.json", card)
