import keras
import numpy as np
import pytest

from pipeline.contrasts import CLASSES
from pipeline.model import HyperParameters, build


def test_slices_become_one_logit_a_class() -> None:
    model = build(HyperParameters())
    logits = model(np.zeros((2, 150, 150, 1), np.float32), training=False)
    assert logits.shape == (2, len(CLASSES))


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (build(HyperParameters(), seed=seed) for seed in (1, 1, 2))
    slices = np.random.default_rng(0).random((2, 150, 150, 1)).astype(np.float32)
    answers = [model(slices, training=False).numpy() for model in (first, again, other)]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert (answers[0] != answers[2]).any()


def test_dropouts_are_the_only_random_layers() -> None:
    layers = build(HyperParameters()).layers
    random = [layer for layer in layers if "seed" in layer.get_config()]
    assert random
    assert all(isinstance(layer, keras.layers.Dropout) for layer in random)


def test_depth_and_width_follow_the_hyper_parameters() -> None:
    hyper = HyperParameters(filters=(8, 8), dense=(32, 16), dropout=0.5)
    names = [layer.name for layer in build(hyper).layers]
    assert sum(name.startswith("convolution") for name in names) == 2
    assert sum(name.startswith("dense") for name in names) == 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"filters": ()}, "filters"),
        ({"filters": (8,) * 7}, "filters"),
        ({"kernel": 0}, "kernel"),
        ({"dropout": 1.0}, "dropout"),
        ({"first_stride": 0}, "first_stride"),
        ({"filters": (8,) * 6, "last_pools": 3}, "last_pools"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(changes: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        HyperParameters(**changes)
