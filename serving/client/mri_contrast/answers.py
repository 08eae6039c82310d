"""What a client gets to know."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    contrast: str
    probability: float
    probabilities: dict[str, float]
    slices: int
    model_version: int
    part: str | None = None
    notes: tuple[str, ...] = ()
    gadolinium: float | None = None


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
