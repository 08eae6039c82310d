from pathlib import Path

import pytest

from pipeline.experiments.rows import NAMES, ROWS, SAVE_ON_INTERRUPT, budgeted
from pipeline.presets import preset


def slices(name: str, scale: float) -> tuple[int, int]:
    """Those learned from, and looked at to validate, in the longest training."""
    row = next(row for row in ROWS if row.name == name)
    settings = budgeted(row.settings, scale, 100)
    assert settings.steps_per_epoch is not None
    assert settings.validation_steps is not None
    size = settings.epochs * settings.batch_size
    return settings.steps_per_epoch * size, settings.validation_steps * size


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_ours_gets_the_budget_of_the_study(scale: float) -> None:
    full = 100 * 90 * 32, 100 * 30 * 32
    for name in NAMES:
        assert slices(name, scale) == tuple(round(scale * count) for count in full)


def test_a_tenth_of_the_budget_keeps_epochs_and_patience() -> None:
    settings = budgeted(preset("study-submitted"), 0.1, 100)
    assert (settings.epochs, settings.patience) == (100, 10)
    assert (settings.steps_per_epoch, settings.validation_steps) == (9, 3)


def test_each_improvement_changes_one_thing_of_the_base() -> None:
    base = preset("study-base")
    changed = {
        row.name: [
            name
            for name in ("hyper", "augment", "patience", "learning_rate", "epochs")
            if getattr(row.settings, name) != getattr(base, name)
        ]
        for row in ROWS
        if row.name.startswith("base-")
    }
    assert changed == {
        "base-noise-written": ["augment"],
        "base-noise-meant": ["augment"],
        "base-conv": ["hyper"],
        "base-dense": ["hyper"],
        "base-patience-15": ["patience"],
    }


def test_both_patiences_are_read_from_one_training() -> None:
    base, longer = (
        next(row for row in ROWS if row.name == name)
        for name in ("study-base", "base-patience-15")
    )
    assert base.training == longer.training
    assert base.settings == longer.settings
    assert (base.patience, longer.patience, longer.settings.patience) == (10, None, 15)


def test_the_test_that_stands_for_saving_on_interrupt_is_there() -> None:
    file, name = SAVE_ON_INTERRUPT.split("::")
    root = Path(__file__).parents[3]
    assert f"def {name}(" in (root / file).read_text()
