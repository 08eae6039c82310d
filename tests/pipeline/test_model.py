from pathlib import Path

import keras
import numpy as np
import pytest

from mri_contrast.slices import SIZE
from pipeline.contrasts import CLASSES
from pipeline.hyper import HyperParameters
from pipeline.model import build


def test_slices_become_logits_of_class_plane_and_gadolinium() -> None:
    model = build(HyperParameters())
    outputs = model(np.zeros((2, 150, 150, 1), np.float32), training=False)
    shapes = {name: tuple(values.shape) for name, values in outputs.items()}
    assert shapes == {
        "logits": (2, len(CLASSES)),
        "plane": (2, 3),
        "gadolinium": (2, 1),
    }


def test_without_heads_the_class_alone_is_told_and_by_the_same_first_weights() -> None:
    slices = np.random.default_rng(0).random((2, 150, 150, 1)).astype(np.float32)
    with_heads, without = (
        build(HyperParameters(heads=heads)) for heads in (True, False)
    )
    assert set(without(slices)) == {"logits"}
    np.testing.assert_array_equal(
        with_heads(slices)["logits"], without(slices)["logits"]
    )
    assert with_heads.count_params() < 1.04 * without.count_params()


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (build(HyperParameters(), seed=seed) for seed in (1, 1, 2))
    slices = np.random.default_rng(0).random((2, 150, 150, 1)).astype(np.float32)
    answers = [model(slices, training=False) for model in (first, again, other)]
    for name in ("logits", "plane", "gadolinium"):
        np.testing.assert_array_equal(answers[0][name], answers[1][name])
        assert (answers[0][name] != answers[2][name]).numpy().any()


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


def test_slices_are_smoothed_in_use_and_not_in_training() -> None:
    spot = np.zeros((1, SIZE, SIZE, 1), np.float32)
    spot[0, 60, 60] = 9
    layer = build(HyperParameters(filters=(4, 8))).get_layer("smooth_in_use")
    np.testing.assert_array_equal(layer(spot, training=True), spot)
    used = np.asarray(layer(spot, training=False))
    np.testing.assert_allclose(used[0, 59:62, 59:62, 0], 1, rtol=1e-6)
    assert used.sum() == pytest.approx(9)
    sharp = build(HyperParameters(filters=(4, 8), smooth=1))
    assert "smooth_in_use" not in [each.name for each in sharp.layers]


def test_a_saved_network_smooths_as_before(tmp_path: Path) -> None:
    model = build(HyperParameters(filters=(4, 8)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    slices = np.random.default_rng(0).random((2, SIZE, SIZE, 1), np.float32)
    np.testing.assert_array_equal(
        loaded(slices, training=False)["logits"],
        model(slices, training=False)["logits"],
    )
