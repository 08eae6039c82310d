"""Answers with known figures, and an answerer that needs no training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.answering import Answerer
from pipeline.evaluate.answers import Answers

CLASSES = ("T1", "T2", "FLAIR", "other")

Build = Callable[..., Answers]


def answers_of(
    probabilities: list[list[float]],
    labels: list[int],
    subjects: list[str] | None = None,
    sources: list[str] | None = None,
) -> Answers:
    count = len(labels)
    names = [f"scan-{number}" for number in range(count)]
    return Answers(
        probabilities=np.array(probabilities, np.float64),
        labels=np.array(labels),
        scans=np.array(names),
        subjects=np.array(subjects or names),
        sources=np.array(sources or ["a"] * count),
        planes=np.full(count, -1),
    )


@pytest.fixture
def build() -> Build:
    return answers_of


def by_brightness(slices: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Log-probabilities that depend on the mean brightness of a slice alone."""
    bright = slices.reshape(len(slices), -1).mean(axis=1) / 255
    logits = -40 * (bright[:, None] - np.array([0.1, 0.35, 0.6, 0.85])) ** 2
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.fixture
def answerer() -> Answerer:
    """Takes dark slices for T1, lighter ones for T2, FLAIR and other."""
    return Answerer(
        name="brightness",
        kind="run",
        folder=Path("nowhere"),
        classes=CLASSES,
        rho=0.5,
        accept=0.6,
        log_probabilities=by_brightness,
        heat=lambda slices: slices.astype(np.float32) / 255,
        heads=None,
        shards=None,
        card={},
    )
