import dataclasses

import numpy as np
import pytest

from pipeline.phantom import physics, template
from pipeline.phantom.composition import FOLDS, fractions, sample_composition


def composed(seed: int = 0, **changes: float) -> np.ndarray:
    composition = sample_composition(np.random.default_rng(seed))
    table = fractions(dataclasses.replace(composition, **changes))
    return table.reshape(template.CODES, FOLDS, -1)


@pytest.mark.parametrize("seed", range(5))
def test_every_code_is_made_of_something(seed: int) -> None:
    table = composed(seed)
    np.testing.assert_allclose(table.sum(-1), 1, atol=1e-5)
    assert (table >= 0).all()


def test_atrophy_turns_brain_into_fluid() -> None:
    half_grey = template.BRAIN + template.LEVELS * 16
    young, old = (
        composed(atrophy=amount)[half_grey, FOLDS // 2, physics.FLUID]
        for amount in (-0.5, 2.0)
    )
    assert old > 2 * young


def test_sulci_are_carved_only_where_there_is_cortex() -> None:
    table = composed(folding=1.5, atrophy=0.0)
    cortex = table[template.BRAIN + template.LEVELS * 16]
    deep_white = table[template.BRAIN + template.LEVELS - 1]
    assert cortex[0, physics.FLUID] > 2 * cortex[-1, physics.FLUID]
    assert deep_white[0, physics.WHITE] > 0.95


def test_scalp_layers_follow_each_other_outwards() -> None:
    layers = composed(
        fluid_mm=1.0, inner_mm=2.0, marrow_mm=2.0, outer_mm=2.0, fat_mm=4.0, skin_mm=2.0
    )[template.SHELL : template.SOFT, 0]
    largest = [physics.TISSUES[index] for index in layers.argmax(-1)]
    order = [name for name, before in zip(largest, ["", *largest], strict=False)
             if name != before]  # fmt: skip
    assert order[0] == "fluid"
    assert order[-3:] == ["fat", "muscle", "air"]
    assert "bone" in order
