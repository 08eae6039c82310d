import dataclasses
from pathlib import Path

import keras_tuner
import pytest

from pipeline.model import HyperParameters
from pipeline.presets import preset
from pipeline.train import TrainConfig
from tuner.space import configure, space

STUDY = ("study-base", "study-two", "study-submitted", "study-more")


def values_of(network: HyperParameters) -> dict[str, float]:
    return {
        "kernel": network.kernel,
        "blocks": len(network.filters),
        **{f"filters_{i}": size for i, size in enumerate(network.filters)},
        "dense_layers": len(network.dense),
        **{f"width_{i}": size for i, size in enumerate(network.dense)},
        "dropout": network.dropout,
        "learning_rate": 1e-3,
        "weight_decay": 1e-5,
    }


def allows(hp: keras_tuner.engine.hyperparameters.HyperParameter, value: float) -> bool:
    if isinstance(hp, keras_tuner.engine.hyperparameters.Choice):
        return value in hp.values
    return bool(hp.min_value <= value <= hp.max_value)


def drawn(seed: int, count: int) -> list[dict[str, float]]:
    oracle = keras_tuner.oracles.RandomSearchOracle(
        max_trials=count, hyperparameters=space(), seed=seed
    )
    return [oracle.populate_space(str(i))["values"] for i in range(count)]


def test_the_default_of_the_space_is_the_default_training():
    assert configure(space(), TrainConfig()) == TrainConfig()


@pytest.mark.parametrize("name", ["default", *STUDY])
def test_the_default_and_the_networks_of_the_study_are_points(name):
    network = preset(name).hyper
    point = space()
    point.values = values_of(network)
    active = {hp.name: hp for hp in point.space if point.is_active(hp)}
    assert set(active) == set(point.values)
    assert all(allows(active[name], value) for name, value in point.values.items())
    assert configure(point, preset(name)).hyper == network


def test_points_reach_all_depths_and_networks_without_dense_layers():
    points = drawn(seed=1, count=40)
    assert {values["blocks"] for values in points} == {2, 3, 4, 5, 6}
    assert {values["dense_layers"] for values in points} == {0, 1, 2, 3, 4}
    assert all(
        ("dropout" in values) == (values["dense_layers"] > 0) for values in points
    )


def test_what_is_not_searched_is_kept():
    base = TrainConfig(shards=Path("elsewhere"), epochs=3, batch_size=8, seed=5)
    trained = configure(space(), base)
    assert dataclasses.replace(trained, hyper=base.hyper) == base


def test_a_seed_draws_the_same_points_again():
    assert drawn(seed=3, count=5) == drawn(seed=3, count=5)
    assert drawn(seed=3, count=5) != drawn(seed=4, count=5)
