"""Our training and evaluation against the study's, on the same people, to the end."""

import time
from collections.abc import Iterator

import keras
import numpy as np

from bench import ours, study
from bench.people import People
from bench.results import Row, at_least
from bench.timing import Effort, Rates, Turn, here, side_by_side


def measure(people: People, effort: Effort, *, epochs: int) -> list[Row]:
    """Trains both programs on as many slices, then evaluates both.

    Args:
        people: Training and test slices of different people.
        effort: How long, and how often, to evaluate.
        epochs: Passes over the training slices; the two programs take turns, one each.
    """
    steps = max(1, people.counts["train"] // study.BATCH)
    seen = steps * study.BATCH
    mine = ours.training(steps=max(1, seen // ours.BATCH) * epochs)
    theirs = study.network()
    rates = _train(people, mine, theirs, steps, epochs)
    return [
        _training_row(people, mine.model, theirs, rates, f"{epochs} × {seen}"),
        _evaluation_row(people, mine.model, theirs, effort),
    ]


def _train(
    people: People, mine: ours.Training, theirs: keras.Model, steps: int, epochs: int
) -> Rates:
    """Trains both, an epoch at a time in turns; the first one compiles."""
    batches = iter(ours.batches(people.shards))
    pictures = study.generator(people.train, augment=True)
    rounds: dict[str, list[Turn]] = {"ours": [], "study": []}
    for _ in range(epochs):
        start = time.perf_counter()
        slices = study.train(theirs, pictures, steps)
        middle = time.perf_counter()
        for _ in range(max(1, slices // ours.BATCH)):
            mine.learn(next(batches))
        end = time.perf_counter()
        rounds["study"].append(Turn(slices / (middle - start)))
        rounds["ours"].append(Turn(slices // ours.BATCH * ours.BATCH / (end - middle)))
    return Rates(rounds)


def _training_row(
    people: People, mine: keras.Model, theirs: keras.Model, rates: Rates, seen: str
) -> Row:
    total = people.counts["test"]
    right = sum(
        int((logits.argmax(1) == labels).sum())
        for logits, labels in ours.evaluation(mine)(people.shards)
    )
    theirs_right = round(study.accuracy(theirs, people.test) * total)
    row = at_least(
        "train.vs_study",
        [rates.ratio("ours", "study")],
        [4],
        f"augmentation included, ours {rates['ours']:.0f} slices/s, the study's "
        f"generator, network and fit {rates['study']:.0f}; each trained on {seen} "
        f"simulated slices of T1, T2 and FLAIR, then right about {right} and "
        f"{theirs_right} of {total} of other people"
        f"{'' if right >= theirs_right else ': ours is WORSE'}; limit: ours the step's "
        "arithmetic, the study's its network (2.9 million weights, full-size "
        "convolutions) and its generator by turns; median of the epochs, in turns",
    )
    return row if right >= theirs_right else row.failed()


def _evaluation_row(
    people: People, mine: keras.Model, theirs: keras.Model, effort: Effort
) -> Row:
    run = ours.evaluation(mine)

    def our_passes() -> Iterator[int]:
        while True:
            for logits, _ in run(people.shards):
                yield len(np.argmax(logits, 1))

    def study_passes() -> Iterator[int]:
        while True:
            study.accuracy(theirs, people.test)
            yield people.counts["test"]

    rates = side_by_side(
        {"ours": here(our_passes), "study": here(study_passes)}, effort
    )
    return at_least(
        "evaluate.vs_study",
        [rates.ratio("ours", "study")],
        [4],
        f"ours {rates['ours']:.0f} slices/s (batch {ours.EVALUATION_BATCH}), the "
        f"study's rescaling generator and model.evaluate {rates['study']:.0f} (batch "
        f"{study.BATCH}), {people.counts['test']} slices; limit: the forward pass, "
        f"ours {rates.cores('ours'):.1f}, theirs {rates.cores('study'):.1f} cores "
        f"busy; {effort}",
    )
