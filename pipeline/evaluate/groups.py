"""The same figures apart by class, plane, source, field strength and degradation."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.answers import UNKNOWN_PLANE, Answers
from pipeline.evaluate.intervals import Resamples, exact

PLANES: Final = {0: "sagittal", 1: "coronal", 2: "axial", UNKNOWN_PLANE: "unknown"}
UNKNOWN: Final = "unknown"
_FIELD: Final = re.compile(r"\d+(\.\d+)?T")
_FAMILY_PARTS: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """What a record's source tells.

    Attributes:
        family: Data set, or `phantom/<class>/<protocol family>`.
        field: Field strength, such as `3T`, or `unknown`.
        degradation: Name of the degradation; `none` of a phantom's scan without, and
            `unknown` of a real one.
    """

    family: str
    field: str
    degradation: str


def origin_of(source: str) -> Origin:
    """Takes a source apart: `phantom/T1/mprage/3T/ghost`, parts after the family free.

    Whatever is no phantom's is a data set's name and tells nothing further.
    """
    parts = source.split("/")
    if parts[0] != "phantom":
        return Origin(source, UNKNOWN, UNKNOWN)
    family, rest = parts[:_FAMILY_PARTS], parts[_FAMILY_PARTS:]
    fields = [part for part in rest if _FIELD.fullmatch(part)]
    others = [part for part in rest if part and part not in fields]
    return Origin(
        family="/".join(family),
        field=fields[0] if fields else UNKNOWN,
        degradation="+".join(others) or "none",
    )


def by_group(
    answers: Answers, classes: Sequence[str], resamples: Resamples
) -> dict[str, dict[str, Any]]:
    """Accuracy of every group of each kind; kinds that tell nothing are left out.

    Args:
        answers: One row a slice or a scan.
        classes: Names of the columns.
        resamples: Of the same rows.

    Returns:
        For each of `class`, `plane`, `source`, `field` and `degradation`: group to
        `right`, `count`, `accuracy`, `interval` (subjects drawn anew) and `exact` (as
        if rows were independent).
    """
    origins = {source: origin_of(source) for source in set(answers.sources.tolist())}
    told = [origins[source] for source in answers.sources.tolist()]
    kinds = {
        "class": np.array([classes[label] for label in answers.labels]),
        "plane": np.array([PLANES.get(plane, UNKNOWN) for plane in answers.planes]),
        "source": np.array([origin.family for origin in told]),
        "field": np.array([origin.field for origin in told]),
        "degradation": np.array([origin.degradation for origin in told]),
    }
    order = {"class": list(classes)}
    return {
        kind: {
            name: _group(answers.right, groups == name, resamples)
            for name in order.get(kind, sorted(set(groups.tolist())))
            if (groups == name).any()
        }
        for kind, groups in kinds.items()
        if set(groups.tolist()) != {UNKNOWN}
    }


def _group(
    right: NDArray[np.bool_], inside: NDArray[np.bool_], resamples: Resamples
) -> dict[str, Any]:
    hits, count = int((right & inside).sum()), int(inside.sum())
    return {
        "right": hits,
        "count": count,
        "accuracy": hits / count,
        "interval": resamples.of_mean(right, inside),
        "exact": exact(hits, count),
    }
