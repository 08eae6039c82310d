import dataclasses
import itertools

import keras_tuner
import pytest

from pipeline.hyper import HyperParameters
from pipeline.model import build
from pipeline.presets import PRESETS, preset
from pipeline.settings import TrainConfig
from tuner.budget import Budget, parameters_of, smallest
from tuner.space import SPACE, configure, narrow, space


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_are_counted_as_keras_counts_them(name: str):
    hyper = preset(name).hyper
    assert parameters_of(hyper) == build(hyper).count_params()


@pytest.mark.parametrize("heads", [True, False])
def test_parameters_of_any_point_are_counted_as_keras_counts_them(heads: bool):
    oracle = keras_tuner.oracles.RandomSearchOracle(
        max_trials=5, hyperparameters=space(), seed=3
    )
    base = TrainConfig(hyper=HyperParameters(heads=heads))
    for number in range(5):
        point = space()
        point.values = oracle.populate_space(str(number))["values"]
        hyper = configure(point, base).hyper
        assert parameters_of(hyper) == build(hyper).count_params()


@pytest.mark.parametrize("words", [[], ["blocks=3,4", "dense_layers=1,2", "width=64"]])
def test_no_network_of_a_space_has_fewer_parameters_than_the_smallest(words: list[str]):
    within = narrow(words) if words else SPACE
    least = smallest(HyperParameters(), within)
    assert len(least.filters) in within["blocks"]
    assert len(least.dense) in within["dense_layers"]
    assert parameters_of(least) == min(
        parameters_of(
            dataclasses.replace(
                HyperParameters(),
                kernel=int(kernel),
                filters=(int(filters),) * int(blocks),
                dense=(int(width),) * int(layers),
            )
        )
        for kernel, blocks, filters, layers, width in itertools.product(
            *(within[name] for name in ("kernel", "blocks", "filters_0")),
            *(within[name] for name in ("dense_layers", "width_0")),
        )
    )


def test_what_is_over_budget_says_by_what():
    budget = Budget(parameters=1000, milliseconds=2)
    assert budget.exceeded_by(1001) == "1001 parameters, the budget is 1000"
    assert budget.exceeded_by(1000, 2.5) == "2.5 ms a slice, the budget is 2"
    assert budget.exceeded_by(1000, 2) == ""
    assert budget.exceeded_by(1000) == ""
    assert Budget().exceeded_by(10**9, 10.0**9) == ""


@pytest.mark.parametrize("name", ["parameters", "milliseconds"])
def test_a_budget_of_nothing_is_refused(name: str):
    with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
        Budget(**{name: 0})
