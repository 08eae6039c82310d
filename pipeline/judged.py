"""What one network said of a split and of real scans, beside the truth."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.answering import Answerer
from pipeline.contrasts import CLASSES
from pipeline.dataset import evaluation_batches, explained_damage
from pipeline.evaluate.answers import Answers, answer_slices, combine_scans
from pipeline.judging import RealScan, losses

SLICES: Final = "slices"
SCANS: Final = "scans"
REAL: Final = "real scans"

_BATCH: Final = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """One network's answers.

    Attributes:
        wrong: (n,) whether the likeliest class is another than the true one.
        loss: (n,) float64 calibrated log-loss, at most 13.8.
        subjects: (n,) whose they are.
        confidence: (n,) float64 probability of the likeliest class.
        accepted: (n,) whether that is enough for a verdict; `unsure` where not.
    """

    wrong: NDArray[np.bool_]
    loss: NDArray[np.float64]
    subjects: NDArray[np.str_]
    confidence: NDArray[np.float64]
    accepted: NDArray[np.bool_]

    @property
    def misled(self) -> NDArray[np.bool_]:
        """(n,) whether the verdict is a wrong class: worse than `unsure`."""
        return self.wrong & self.accepted


def judged(
    answerer: Answerer, shards: Path | None, split: str, real: Sequence[RealScan]
) -> dict[str, Judged]:
    """Asks a network about every slice and scan of a split, and every real scan.

    Args:
        answerer: The network.
        shards: Folder of shards with their manifest; there may be none.
        split: Which of theirs.
        real: Of classes that it tells apart; there may be none.

    Returns:
        `SLICES` and `SCANS` where there are shards, `REAL` where there are real scans.

    Raises:
        ValueError: It tells other classes apart, or a shard is damaged.
    """
    if answerer.classes != CLASSES:
        raise ValueError(
            f"{answerer.name} tells {', '.join(answerer.classes)} apart, not "
            f"{', '.join(CLASSES)}: they cannot be compared"
        )
    found: dict[str, Judged] = {}
    if shards is not None:
        found |= _on_split(answerer, shards, split)
    if real:
        found[REAL] = _on_real(answerer, real)
    return found


def _on_split(answerer: Answerer, shards: Path, split: str) -> dict[str, Judged]:
    with explained_damage(shards):
        batches = evaluation_batches(shards, split, batch_size=_BATCH)
        slices, logs = answer_slices(answerer, batches)
    scans = combine_scans(answerer, slices, logs)
    return {SLICES: _judged(answerer, slices), SCANS: _judged(answerer, scans)}


def _judged(answerer: Answerer, answers: Answers) -> Judged:
    truth = answers.probabilities[np.arange(len(answers)), answers.labels]
    return Judged(
        wrong=~answers.right,
        loss=losses(truth),
        subjects=answers.subjects,
        confidence=answers.confidence,
        accepted=answers.confidence >= answerer.accept,
    )


def _on_real(answerer: Answerer, scans: Sequence[RealScan]) -> Judged:
    said = [
        answerer.verdict(answerer.log_probabilities(scan.slices)).probabilities
        for scan in scans
    ]
    truth = [shares[scan.contrast] for shares, scan in zip(said, scans, strict=True)]
    surest = [max(shares.values()) for shares in said]
    return Judged(
        wrong=np.less(truth, surest),
        loss=losses(np.array(truth)),
        subjects=np.array([scan.subject for scan in scans]),
        confidence=np.array(surest),
        accepted=np.array(surest) >= answerer.accept,
    )
