"""How fast the train step is, and whether the input keeps it fed."""

from collections.abc import Iterator
from pathlib import Path

from bench import ours
from bench.results import Row, at_least, informs
from bench.timing import Effort, here, side_by_side


def measure(shards: Path, effort: Effort) -> list[Row]:
    """Measures augmentation, the step on batches in memory, and the fed step.

    Args:
        shards: What to train on.
        effort: How long, and how often. Short turns and many rounds serve best: the
            goal is a difference of 3 %, and the machine's own speed drifts by more.
    """
    training = ours.training(steps=100_000)
    held = ours.in_memory(shards)
    augment = ours.augmentation()

    def augmented() -> Iterator[int]:
        for number, batch in enumerate(held):
            augment(batch, number)
            yield ours.BATCH

    def stepped() -> Iterator[int]:
        for batch in held:
            training.learn(batch)
            yield ours.BATCH

    def fed() -> Iterator[int]:
        for batch in ours.batches(shards):
            training.learn(batch)
            yield ours.BATCH

    for start in (augmented, stepped):  # Compiles them before the first turn.
        next(start())
    rates = side_by_side(
        {"augment": here(augmented), "step": here(stepped), "fed": here(fed)}, effort
    )
    terms = f"batch {ours.BATCH}, {effort}"
    share = rates["step"] / rates["augment"]
    return [
        informs(
            "stage.augment",
            rates["augment"],
            "slices/s; one affine, blur, field, gamma and noise, compiled; limit: "
            f"arithmetic, {rates.cores('augment'):.1f} cores busy; {terms}",
        ),
        informs(
            "stage.step",
            rates["step"],
            "slices/s; augmentation, forward, backward, update, on batches in memory: "
            f"the ceiling of training; limit: arithmetic, {rates.cores('step'):.1f} "
            f"cores busy, {share:.0%} of the time augments; {terms}",
        ),
        at_least(
            "train.fed",
            [rates.ratio("fed", "step")],
            [0.97],
            f"fed by tf.data {rates['fed']:.0f} slices/s, from batches in memory "
            f"{rates['step']:.0f}; limit: the step, which shares its cores with the "
            f"threads that read; {terms}",
        ),
    ]
