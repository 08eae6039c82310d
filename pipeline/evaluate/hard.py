"""Calibration where it matters: on scans so spoiled that the model errs.

On clean simulated scans nearly everything is right and sure, and any probability near
1 looks calibrated. So the scans of the split are spoiled step by step until between 80
and 95 % of them are right, and measured there.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.answering import Answerer
from pipeline.evaluate import degrade
from pipeline.evaluate.answers import UNKNOWN_PLANE, Answers
from pipeline.evaluate.coverage import curve, risk
from pipeline.evaluate.intervals import Resamples
from pipeline.evaluate.metrics import figures
from pipeline.evaluate.reliability import calibration
from pipeline.progress import progress

LOW: Final = 0.80
HIGH: Final = 0.95
MARGIN: Final = 0.02
STEP: Final = 0.5
MAX_LEVEL: Final = 12.0
"""There hardly a scan can be told by eye; a model that is right still is not hard to
please but wrong about the data."""

SLICES: Final = 8
"""At most, of each scan: 1200 scans then take 216 MB."""

SEARCHED: Final = 400
"""Scans, at most, that a step of the search looks at: 1.5 points of the accuracy."""

TOGETHER: Final = 64
"""Scans that are asked about at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A scan of the split, as its records have it.

    Attributes:
        name: The scan.
        subject: The person.
        source: Data set or phantom family.
        label: The true column.
        slices: (n, 150, 150) uint8, 1 <= n <= 8.
    """

    name: str
    subject: str
    source: str
    label: int
    slices: NDArray[np.uint8]


def collect(
    batches: Iterable[Mapping[str, tf.Tensor]], volumes: int, slices: int = SLICES
) -> list[Stored]:
    """Collects the first scans met, at most `slices` slices of each, ordered by name.

    Records are shuffled when shards are written, so the first are any.
    """
    told: dict[str, tuple[str, str, int]] = {}
    found: dict[str, list[NDArray[np.uint8]]] = {}
    for batch in batches:
        images, labels = batch["image"].numpy(), batch["label"].numpy()
        names, subjects, sources = (
            batch[tag].numpy().astype(str) for tag in ("scan", "subject", "source")
        )
        for row, name in enumerate(names.tolist()):
            if name not in told:
                if len(told) == volumes:
                    continue
                told[name] = (subjects[row], sources[row], int(labels[row]))
                found[name] = []
            if len(found[name]) < slices:
                found[name].append(images[row])
    return [Stored(name, *told[name], np.stack(found[name])) for name in sorted(told)]


def judge(
    answerer: Answerer, scans: Sequence[Stored], level: float, draws: int
) -> Answers:
    """Spoils every scan in `draws` ways and joins what is said of its slices.

    Returns:
        One row for each scan and draw.
    """
    cases = [(scan, draw) for draw in range(draws) for scan in scans]
    shares: list[list[float]] = []
    with progress(f"hard scans, level {level:g}", len(cases), "scans") as advance:
        for first in range(0, len(cases), TOGETHER):
            some = cases[first : first + TOGETHER]
            shares += _ask(answerer, some, level)
            advance(len(some))
    rows = [scan for scan, _ in cases]
    return Answers(
        probabilities=np.array(shares),
        labels=np.array([scan.label for scan in rows]),
        scans=np.array([scan.name for scan in rows]),
        subjects=np.array([scan.subject for scan in rows]),
        sources=np.array([scan.source for scan in rows]),
        planes=np.full(len(rows), UNKNOWN_PLANE),
    )


def _ask(
    answerer: Answerer, cases: Sequence[tuple[Stored, int]], level: float
) -> list[list[float]]:
    """Probabilities of some spoiled scans, all their slices asked about at once."""
    spoiled = [
        degrade.apply(scan.slices, degrade.sample(scan.name, level, draw))
        for scan, draw in cases
    ]
    ends = np.cumsum([len(slices) for slices in spoiled])
    logs = np.split(answerer.log_probabilities(np.concatenate(spoiled)), ends[:-1])
    return [list(answerer.verdict(part).probabilities.values()) for part in logs]


def measure(
    answerer: Answerer, scans: Sequence[Stored], wanted: int
) -> tuple[dict[str, Any], Answers]:
    """Finds the level and measures calibration there.

    Args:
        answerer: What answers.
        scans: At least one.
        wanted: So many scans, at least, are measured, by spoiling each several times.

    Returns:
        `reached`: whether the accuracy is within 0.80 and 0.95; `level`, `trail` of
        level and accuracy on the way, `draws` for each scan, the figures of
        `metrics.figures` and `calibration`, `risk` and `curve`. Beside it one row for
        each scan and draw.
    """
    level, trail = _search(answerer, scans)
    # Where nothing is done to a scan, drawing again would count it twice.
    draws = -(-wanted // len(scans)) if level else 1
    answers = judge(answerer, scans, level, draws)
    resamples = Resamples.of(answers.subjects)
    accuracy = float(answers.right.mean())
    trail.append([level, accuracy])
    return {
        "reached": LOW <= accuracy <= HIGH,
        "level": level,
        "trail": trail,
        "draws": draws,
        **figures(answers, resamples),
        "calibration": calibration(answers, resamples),
        "risk": risk(answers, answerer.accept, resamples),
        "curve": curve(answers),
    }, answers


def _search(
    answerer: Answerer, scans: Sequence[Stored]
) -> tuple[float, list[list[float]]]:
    """The first level, by steps of a half, where the accuracy is low enough.

    A step that falls too deep is halved until it does not. Each step is measured on
    one draw of some scans; it aims inside of both limits, since draws scatter.
    """
    low, high = LOW + MARGIN, HIGH - MARGIN
    some = scans[:: -(-len(scans) // SEARCHED)]
    trail: list[list[float]] = []
    level, step = 0.0, STEP
    while True:
        accuracy = float(judge(answerer, some, level, 1).right.mean())
        trail.append([level, accuracy])
        if accuracy < low and level > 0 and step > STEP / 16:
            level -= step
            step /= 2
        elif accuracy <= high or level >= MAX_LEVEL:
            return level, trail
        level += step
