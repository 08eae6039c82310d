"""How well the heads beside the class do: the plane, and contrast agent in T1."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from pipeline.answering import Answerer
from pipeline.evaluate.answers import rows_of_scans
from pipeline.evaluate.intervals import Resamples
from pipeline.labelled import UNKNOWN


def measure(
    answerer: Answerer, batches: Iterable[Mapping[str, tf.Tensor]]
) -> dict[str, Any] | None:
    """Measures the heads on all slices whose truth is known.

    Args:
        answerer: What answers.
        batches: Of `pipeline.dataset.evaluation_batches`.

    Returns:
        `plane`: `count` and `accuracy` of slices. `gadolinium`: `count` of T1 scans and
        `auroc` of their mean probability with its `interval`, subjects drawn anew; None
        where only one kind occurs. None where the model has no heads.
    """
    if answerer.heads is None:
        return None
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("plane", "gadolinium", "said_plane", "said_gadolinium")
    }
    scans, subjects = [], []
    for batch in batches:
        said = answerer.heads(batch["image"].numpy())
        scans.append(batch["scan"].numpy().astype(str))
        subjects.append(batch["subject"].numpy().astype(str))
        for name in ("plane", "gadolinium"):
            columns[name].append(batch[name].numpy())
            columns[f"said_{name}"].append(said[name])
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    known = table["plane"] != UNKNOWN
    right = table["plane"][known] == table["said_plane"][known]
    return {
        "plane": {
            "count": int(known.sum()),
            "accuracy": float(right.mean()) if known.any() else None,
        },
        "gadolinium": _gadolinium(
            table, np.concatenate(scans), np.concatenate(subjects)
        ),
    }


def _gadolinium(
    table: dict[str, np.ndarray], scans: np.ndarray, subjects: np.ndarray
) -> dict[str, Any]:
    known = [
        rows
        for rows in rows_of_scans(scans).values()
        if table["gadolinium"][rows[0]] != UNKNOWN
    ]
    truth = np.array([table["gadolinium"][rows[0]] == 1 for rows in known], bool)
    score = np.array([table["said_gadolinium"][rows].mean() for rows in known])
    if truth.all() or not truth.any():
        return {"count": len(truth), "auroc": None, "interval": None}
    resamples = Resamples.of(subjects[[rows[0] for rows in known]])
    return {
        "count": len(truth),
        "auroc": float(roc_auc_score(truth, score)),
        "interval": resamples.of_area(truth, score),
    }
