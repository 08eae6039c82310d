import dataclasses
from pathlib import Path

import keras_tuner
import pytest

from pipeline.augment import STILL, AugmentConfig
from pipeline.hyper import HyperParameters
from pipeline.presets import preset
from pipeline.train import TrainConfig
from tuner.space import SPACE, Space, configure, narrow, scaled, space

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
        "augmentation": 1.0,
    }


def allows(hp: keras_tuner.engine.hyperparameters.HyperParameter, value: float) -> bool:
    if isinstance(hp, keras_tuner.engine.hyperparameters.Choice):
        return value in hp.values
    return bool(hp.min_value <= value <= hp.max_value)


def drawn(seed: int, count: int, within: Space = SPACE) -> list[dict[str, float]]:
    oracle = keras_tuner.oracles.RandomSearchOracle(
        max_trials=count, hyperparameters=space(within), seed=seed
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
    trained = configure(point, preset(name))
    assert trained.hyper == network
    assert trained.augment == preset(name).augment


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


def test_augmentation_is_scaled_in_all_its_strengths_and_in_nothing_else():
    for factor in SPACE["augmentation"]:
        point = space()
        point.values["augmentation"] = factor
        assert configure(point, TrainConfig()).augment == AugmentConfig(
            rotation=20 * factor,
            zoom=0.2 * factor,
            shear=6 * factor,
            shift=0.06 * factor,
            gamma=0.2 * factor,
            gain=0.2 * factor,
            dim=0.15 * factor,
            bias=0.15 * factor,
            noise=0.05 * factor,
            blur=0.6 * factor,
        )
    assert scaled(AugmentConfig(), 0) == STILL


def test_a_narrowed_space_draws_from_what_is_left_alone():
    words = ("blocks=4,3", "filters=32,64", "filters_0=16", "dense_layers=0")
    within = narrow([*words, "learning_rate=0.001,0.002", "weight_decay=0.01"])
    points = drawn(seed=1, count=30, within=within)
    assert {values["blocks"] for values in points} == {3, 4}
    assert {values["filters_0"] for values in points} == {16}
    assert {values["filters_1"] for values in points} == {32, 64}
    assert {values["weight_decay"] for values in points} == {0.01}
    assert all(0.001 <= values["learning_rate"] <= 0.002 for values in points)
    assert not {"width_0", "dropout", "filters_4"} & set().union(*points)
    for values in points:
        point = space(within)
        point.values = values
        trained = configure(point, TrainConfig(), within)
        assert len(trained.hyper.filters) == values["blocks"]
        assert trained.hyper.dense == ()
        assert trained.learning_rate == values["learning_rate"]


def test_a_space_that_leaves_the_default_out_begins_with_what_it_has():
    within = narrow(["kernel=5", "blocks=2,3", "learning_rate=0.005,0.01"])
    trained = configure(space(within), TrainConfig(), within)
    assert trained.hyper.kernel == 5
    assert len(trained.hyper.filters) == 2
    assert trained.learning_rate == 0.005


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["kernel"], "name=value"),
        (["depth=3"], "nothing that is searched is called 'depth'; there are kernel"),
        (["kernel="], "kernel can be narrowed to one or more of 2,3,5; got ''"),
        (["kernel=3,7"], "kernel can be narrowed to one or more of 2,3,5; got '3,7'"),
        (["kernel=3.5"], "kernel can be narrowed to"),
        (["dropout=0.15"], "dropout can be narrowed to"),
        (["learning_rate=1"], "one number or two limits from 0.0003 to 0.01; got '1'"),
        (["learning_rate=1e-3,2e-3,3e-3"], "one number or two limits"),
        (["learning_rate=nan"], "one number or two limits"),
        (
            [
                "kernel=3",
                "blocks=2",
                "filters=16",
                "dense_layers=0",
                "learning_rate=0.001",
                "weight_decay=0.01",
                "augmentation=1",
            ],
            "leaves a single network, so there is nothing to search",
        ),
    ],
)
def test_what_cannot_be_narrowed_so_is_named(words: list[str], told: str):
    with pytest.raises(ValueError, match=told):
        narrow(words)


def test_a_seed_draws_the_same_points_again():
    assert drawn(seed=3, count=5) == drawn(seed=3, count=5)
    assert drawn(seed=3, count=5) != drawn(seed=4, count=5)
