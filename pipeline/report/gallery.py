"""The worst mistakes: the slice that misled most, and where the network looked."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mri_contrast.slices import cut
from mri_contrast.verdict import UNSURE
from pipeline.answering import Answerer
from pipeline.evaluate.answers import Answers
from pipeline.evaluate.real import Judged

SHOWN: Final = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Exhibit:
    """One mistake to look at.

    Attributes:
        title: The scan.
        told: Truth, verdict and probabilities, in words.
        picture: (150, 150) uint8.
        heat: (150, 150) float32 in [0, 1]: what spoke for the winner on this slice.
    """

    title: str
    told: str
    picture: NDArray[np.uint8]
    heat: NDArray[np.float32]


def of_split(
    answerer: Answerer,
    batches: Iterable[Mapping[str, tf.Tensor]],
    slices: Answers,
    volumes: Answers,
) -> list[Exhibit]:
    """Shows scans whose likeliest class is wrong, surest first, then single slices.

    Args:
        answerer: What answered.
        batches: Those that were answered, in the same order.
        slices: One row a slice.
        volumes: One row a scan.
    """
    wrong = [row for row in _surest(volumes) if not volumes.right[row]][:SHOWN]
    chosen = {}
    for row in wrong:
        members = np.flatnonzero(slices.scans == volumes.scans[row])
        claim = slices.probabilities[members, volumes.winners[row]]
        chosen[int(members[claim.argmax()])] = _told(answerer, volumes, row, "scan")
    for row in _surest(slices):
        if len(chosen) >= SHOWN:
            break
        if not slices.right[row]:
            chosen.setdefault(int(row), _told(answerer, slices, row, "one slice of it"))
    pictures = _pictures(batches, sorted(chosen))
    return [
        _exhibit(answerer, slices.scans[row], told, pictures[row])
        for row, told in chosen.items()
    ]


def of_real(answerer: Answerer, judged: Sequence[Judged]) -> list[Exhibit]:
    """Shows real scans whose verdict is not their class, wrong ones before unsure."""
    missed = [one for one in judged if one.verdict is not None and not one.right]
    missed.sort(key=lambda one: one.said == UNSURE)
    shown = []
    for one in missed[:SHOWN]:
        assert one.verdict is not None
        slices = cut(one.scan.read())
        logs = answerer.log_probabilities(slices)
        claim = logs[:, answerer.classes.index(one.likeliest)]
        shares = one.verdict.probabilities
        told = f"is {one.label}, verdict {one.said}: " + ", ".join(
            f"{name} {share:.2f}" for name, share in shares.items()
        )
        picture = slices[int(claim.argmax())]
        shown.append(_exhibit(answerer, one.scan.name, told, picture))
    return shown


def _surest(answers: Answers) -> NDArray[np.intp]:
    return np.argsort(-answers.confidence, kind="stable")


def _told(answerer: Answerer, answers: Answers, row: int, what: str) -> str:
    truth = answerer.classes[answers.labels[row]]
    winner = answerer.classes[answers.winners[row]]
    confidence = answers.confidence[row]
    doubt = "" if confidence >= answerer.accept or what != "scan" else f", so {UNSURE}"
    return (
        f"{what} is {truth}, taken for {winner} with {confidence:.3f}{doubt}; "
        f"{answers.sources[row]}"
    )


def _pictures(
    batches: Iterable[Mapping[str, tf.Tensor]], rows: Sequence[int]
) -> dict[int, NDArray[np.uint8]]:
    """Reads the pixels of some rows of the split."""
    found, first, wanted = {}, 0, np.array(rows, int)
    for batch in batches:
        count = len(batch["label"])
        for row in wanted[(wanted >= first) & (wanted < first + count)].tolist():
            found[row] = batch["image"][row - first].numpy()
        first += count
    return found


def _exhibit(
    answerer: Answerer, title: str, told: str, picture: NDArray[np.uint8]
) -> Exhibit:
    return Exhibit(str(title), told, picture, answerer.heat(picture[None])[0])
