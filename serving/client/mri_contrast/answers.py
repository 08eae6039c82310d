"""What a client gets to know."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mri_contrast.errors import MriContrastError


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one scan.

    Attributes:
        contrast: a class of the model ("T1", "T2", "FLAIR", "other"), or "unsure".
        probability: of the most probable class, in [0, 1].
        probabilities: of each class, summing to 1, in order of name.
        slices: how many slices were looked at.
        model_version: that answered.
        part: the series, where the source holds several; else None.
        notes: what the reader had to choose, e.g. "4-D: first of 120 volumes used".
        gadolinium: probability in [0, 1] that it was taken after contrast agent, if it
            is a T1: the mean over the slices; None where the model does not tell.
        conflict: where header or name of the scan disagree with its pixels, such as
            "its series text says T2"; read on this machine alone.
    """

    contrast: str
    probability: float
    probabilities: dict[str, float]
    slices: int
    model_version: int
    part: str | None = None
    notes: tuple[str, ...] = ()
    gadolinium: float | None = None
    conflict: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one scan of many.

    Attributes:
        file: the path as it was given, found by a glob or read from a list; "" of what
            has no path.
        part: the series or file within it, where it holds several.
        answer: None where there is none; then `error` says why.
        error: None where there is an answer.
        repeated: taken from the journal of an earlier run, not asked again.
        preview: `(p, 150, 150)` uint8, the middle slice of each plane that was sent;
            None where nothing was cut in this run.
    """

    file: str
    part: str | None = None
    answer: Answer | None = None
    error: MriContrastError | None = None
    repeated: bool = False
    preview: npt.NDArray[np.uint8] | None = field(
        default=None, repr=False, compare=False
    )


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """A version of the model on the server.

    Attributes:
        version: its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: why it failed; empty where it did not.
    """

    version: int
    state: str
    error: str
