"""From a verdict to what a platform asks: does the scan belong into this slot?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mri_contrast.answers import Answer
from mri_contrast.errors import UnreadableScan
from mri_contrast.hints import OTHER
from mri_contrast.verdict import UNSURE

CheckVerdict: TypeAlias = Literal["ok", "wrong slot", "not usable", "unsure"]


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a scan is what its slot expects; `str()` says it in a line.

    Attributes:
        verdict: "ok"; "wrong slot" where another contrast was accepted; "not usable"
            where it is `other`, or cannot be read; "unsure" where nothing is accepted.
        expected: what the slot takes.
        looks_like: the accepted class, "T1" or "other" for example; None where none is.
        probability: of the most probable class, in [0, 1]; 0 where it cannot be read.
        conflict: where header or name disagree with the pixels; empty where they agree
            or say nothing.
        answer: all that is known; None where it cannot be read.
        error: why it cannot be read, else None.
    """

    verdict: CheckVerdict
    expected: str
    looks_like: str | None
    probability: float
    conflict: tuple[str, ...] = ()
    answer: Answer | None = None
    error: UnreadableScan | None = None

    @property
    def ok(self) -> bool:
        """Whether the scan may be used in its slot."""
        return self.verdict == "ok"

    def __str__(self) -> str:
        if self.error is not None:
            return f"not usable ({self.error})"
        text: str = self.verdict
        if self.verdict == "wrong slot":
            text += f" (looks like {self.looks_like})"
        elif self.verdict == "not usable":
            text += f" ({self.looks_like})"
        text += f", probability {self.probability:.3f}"
        return text + "".join(f"; conflict: {reason}" for reason in self.conflict)


@dataclass(frozen=True, slots=True)
class UploadCheck:
    """Whether the scans of one upload are in their slots.

    Attributes:
        slots: the check of each slot.
        swapped: for each slot whose scan belongs into another one of the upload, that
            one, where exchanging them sets all of these right: `{"T1": "FLAIR",
            "FLAIR": "T1"}`.
    """

    slots: dict[str, Check]
    swapped: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every scan may be used in its slot."""
        return all(check.ok for check in self.slots.values())


def judge(answer: Answer, expected: str) -> Check:
    """Compares an answer with what a slot expects.

    Raises:
        ValueError: the model knows no class `expected`.
    """
    expected = _class_of(expected, answer)
    found = answer.contrast
    if found == expected:
        verdict: CheckVerdict = "ok"
    elif found == UNSURE:
        verdict = "unsure"
    else:
        verdict = "not usable" if found == OTHER else "wrong slot"
    return Check(
        verdict=verdict,
        expected=expected,
        looks_like=None if found == UNSURE else found,
        probability=answer.probability,
        conflict=answer.conflict,
        answer=answer,
    )


def unreadable(expected: str, error: UnreadableScan) -> Check:
    """The check of a scan that nothing can be asked about."""
    return Check("not usable", expected, None, 0.0, error=error)


def upload(slots: Mapping[str, Check]) -> UploadCheck:
    """Puts the checks of one upload together and finds what was exchanged."""
    moves = {
        slot: check.looks_like
        for slot, check in slots.items()
        if check.verdict == "wrong slot" and check.looks_like is not None
    }
    return UploadCheck(dict(slots), _cycles(moves, slots))


def _cycles(moves: Mapping[str, str], slots: Mapping[str, Check]) -> dict[str, str]:
    """Those moves that end where another one begins, and only once.

    Two scans that look alike cannot both belong into one slot: neither is moved.
    """
    by_class = {check.expected: slot for slot, check in slots.items()}
    claims = Counter(moves.values())
    targets = {
        slot: by_class.get(contrast)
        for slot, contrast in moves.items()
        if claims[contrast] == 1
    }
    swapped: dict[str, str] = {}
    for start in targets:
        path, at = [start], targets[start]
        while at is not None and at not in path:
            path.append(at)
            at = targets.get(at)
        if at == start:
            swapped |= {slot: str(targets[slot]) for slot in path}
    return swapped


def _class_of(expected: str, answer: Answer) -> str:
    """`t1`, `T1w` and `T1` are one."""
    wanted = expected.lower()
    for name in answer.probabilities:
        if wanted in (name.lower(), f"{name.lower()}w"):
            return name
    raise ValueError(
        f"expected is {expected!r}; the model knows {', '.join(answer.probabilities)}"
    )
