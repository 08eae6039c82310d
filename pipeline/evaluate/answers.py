"""What was said of slices, and of the scans that they belong to, beside the truth."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.answering import Answerer

UNKNOWN_PLANE = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """One row a slice, or one row a scan.

    Attributes:
        probabilities: (n, classes) float64, each row summing to 1.
        labels: (n,) int64: the true column.
        scans: (n,) names of the scans.
        subjects: (n,) the persons: what is resampled for intervals.
        sources: (n,) data set or phantom family, as the records have it.
        planes: (n,) int64: 0 sagittal, 1 coronal, 2 axial, -1 unknown or several.
    """

    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    scans: NDArray[np.str_]
    subjects: NDArray[np.str_]
    sources: NDArray[np.str_]
    planes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def winners(self) -> NDArray[np.int64]:
        """(n,) the likeliest column."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(n,) probability of the likeliest class."""
        return self.probabilities.max(axis=1)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether the likeliest class is the true one."""
        return np.asarray(self.winners == self.labels)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Returns some of the rows."""
        fields = {
            field.name: getattr(self, field.name)[chosen]
            for field in dataclasses.fields(self)
        }
        return dataclasses.replace(self, **fields)


def answer_slices(
    answerer: Answerer, batches: Iterable[Mapping[str, tf.Tensor]]
) -> tuple[Answers, NDArray[np.float64]]:
    """Asks about every slice once, in order.

    Args:
        answerer: What answers.
        batches: Of `pipeline.dataset.evaluation_batches`; records without `plane`
            count as of unknown plane.

    Returns:
        One row a slice, and their log-probabilities (n, classes).
    """
    logs = []
    columns: dict[str, list[NDArray[np.generic]]] = {
        name: [] for name in ("label", "scan", "subject", "source", "plane")
    }
    for batch in batches:
        logs.append(answerer.log_probabilities(batch["image"].numpy()))
        count = len(logs[-1])
        for name, column in columns.items():
            found = batch.get(name)
            if found is None:
                column.append(np.full(count, UNKNOWN_PLANE, np.int64))
            elif found.dtype == tf.string:
                column.append(found.numpy().astype(str))
            else:
                column.append(found.numpy())
    whole = np.concatenate(logs)
    joined = {name: np.concatenate(column) for name, column in columns.items()}
    answers = Answers(
        probabilities=np.exp(whole),
        labels=joined["label"].astype(np.int64),
        scans=joined["scan"].astype(str),
        subjects=joined["subject"].astype(str),
        sources=joined["source"].astype(str),
        planes=joined["plane"].astype(np.int64),
    )
    return answers, whole


def combine_scans(
    answerer: Answerer, slices: Answers, logs: NDArray[np.float64]
) -> Answers:
    """Joins the slices of each scan to one row, by the rule that users' scans meet.

    Args:
        answerer: Whose `rho` joins them.
        slices: One row a slice.
        logs: (n, classes) their log-probabilities.

    Returns:
        One row a scan, ordered by name.
    """
    members = list(rows_of_scans(slices.scans).values())
    firsts = np.array([rows[0] for rows in members])
    said = [answerer.verdict(logs[rows]).probabilities for rows in members]
    planes = [
        slices.planes[rows[0]] if len(set(slices.planes[rows])) == 1 else UNKNOWN_PLANE
        for rows in members
    ]
    return dataclasses.replace(
        slices.rows(firsts),
        probabilities=np.array([list(shares.values()) for shares in said]),
        planes=np.array(planes, np.int64),
    )


def rows_of_scans(scans: NDArray[np.str_]) -> dict[str, NDArray[np.intp]]:
    """Rows of each scan by its name, names in order."""
    order = np.argsort(scans, kind="stable")
    names, starts = np.unique(scans[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
