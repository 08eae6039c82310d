"""What is compared: one row a network or improvement, at one budget."""

import dataclasses
from typing import Final

from pipeline.presets import AUGMENTATION, BASE, NOISY, WRITTEN_NOISE, preset, study
from pipeline.settings import TrainConfig

REFERENCE: Final = "study-submitted"
"""What every row is tested against."""

OURS: Final = "ours"

SAVE_ON_INTERRUPT: Final = (
    "tests/pipeline/test_train.py::test_a_signal_leaves_the_best_network_and_says_where"
)
"""The study's fifth improvement needs no training, but a test that shows it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: On the command line and in the table.
        what: For people.
        training: Name of the training that it is read from.
        settings: Of that training, at the full budget.
        patience: Read the training only until so many epochs brought nothing better;
            to its end where it is None.
    """

    name: str
    what: str
    training: str
    settings: TrainConfig
    patience: int | None = None


def _changed(**changes: object) -> TrainConfig:
    return dataclasses.replace(preset("study-base"), **changes)  # type: ignore[arg-type]


# Patience 15 goes the way of patience 10 and then on: one training shows both.
_BASE: Final = _changed(patience=15)
_WRITTEN: Final = dataclasses.replace(AUGMENTATION, noise=WRITTEN_NOISE)
_DEEPER: Final = dataclasses.replace(BASE, filters=(32, 64, 64, 64))
_DENSER: Final = dataclasses.replace(BASE, dense=(256, 256, 128))

ROWS: Final = (
    Row("study-base", "2 conv, 1 dense, no noise", "study-base", _BASE, 10),
    Row(
        "base-noise-written",
        "base + noise as written, σ 0.0004",
        "base-noise-written",
        _changed(augment=_WRITTEN),
    ),
    Row(
        "base-noise-meant",
        "base + noise as meant, σ 0.1",
        "base-noise-meant",
        _changed(augment=NOISY),
    ),
    Row(
        "base-conv",
        "base + two more conv blocks",
        "base-conv",
        _changed(hyper=_DEEPER),
    ),
    Row(
        "base-dense",
        "base + dense 256 + 128 + dropout",
        "base-dense",
        _changed(hyper=_DENSER),
    ),
    Row("base-patience-15", "base with patience 15", "study-base", _BASE),
    Row("study-two", '"only two"', "study-two", preset("study-two")),
    Row(REFERENCE, "submitted", REFERENCE, preset(REFERENCE)),
    Row("study-more", '"more"', "study-more", preset("study-more")),
    Row(OURS, "the default preset", OURS, preset("default")),
)

NAMES: Final = tuple(row.name for row in ROWS)


def budgeted(settings: TrainConfig, scale: float, epochs: int) -> TrainConfig:
    """Returns a training at a share of the study's budget.

    The recipe keeps its epochs, and so what patience means; its steps and validation
    steps shrink. A training that names no steps gets as many slices in all, to learn
    from and to validate by, in its own number of epochs.

    Args:
        settings: At the full budget.
        scale: Share of it.
        epochs: Of the recipe; 100 in the study.
    """
    recipe = study(BASE)
    learned, validated = (
        max(1, round(steps * scale))
        for steps in (recipe.steps_per_epoch or 1, recipe.validation_steps or 1)
    )
    if settings.steps_per_epoch is None:
        own = min(settings.epochs, epochs * learned)
        slices = epochs * recipe.batch_size / (own * settings.batch_size)
        learned, validated = (
            max(1, round(steps * slices)) for steps in (learned, validated)
        )
        epochs = own
    return dataclasses.replace(
        settings, epochs=epochs, steps_per_epoch=learned, validation_steps=validated
    )
