import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipeline.augment import STILL, Augmentation, AugmentConfig, apply, sample


def slices(count: int = 8) -> tf.Tensor:
    axis = np.linspace(-1, 1, 150)
    ball = (axis[:, None] ** 2 + (1.4 * axis[None, :]) ** 2 < 0.6).astype(np.float32)
    ramp = ball * (0.3 + 0.3 * (axis[None, :] + 1) / 2)
    return tf.constant(np.repeat(ramp[None, :, :, None], count, 0), tf.float32)


def drawn(config: AugmentConfig, seed: int = 0, count: int = 8) -> Augmentation:
    return sample(config, count, tf.constant([seed, 1], tf.int32))


def test_the_same_seed_gives_the_same_slices_and_another_gives_others() -> None:
    config = AugmentConfig()
    first, again, other = (
        apply(slices(), drawn(config, seed)).numpy() for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_slices_stay_in_range_and_finite() -> None:
    changed = apply(slices(32), drawn(AugmentConfig(), count=32)).numpy()
    assert np.isfinite(changed).all()
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_without_any_strength_only_quarter_turns_and_flips_are_left() -> None:
    picture = slices(1).numpy()[0, :, :, 0]
    turned = [
        np.rot90(flip, turns) for flip in (picture, picture.T) for turns in range(4)
    ]
    for changed in apply(slices(16), drawn(STILL, count=16)).numpy()[..., 0]:
        assert min(np.abs(changed - each).max() for each in turned) < 1e-3


def test_all_eight_orientations_are_drawn() -> None:
    matrices = drawn(STILL, count=200).matrices.numpy().round().astype(int)
    assert len({tuple(matrix[:, :2].ravel()) for matrix in matrices}) == 8


def test_the_compilable_path_equals_the_kernel_path() -> None:
    config = AugmentConfig()
    by_kernel = apply(slices(16), drawn(config, count=16)).numpy()
    by_gather = apply(slices(16), drawn(config, count=16), xla=True).numpy()
    np.testing.assert_allclose(by_gather, by_kernel, atol=2e-4)


def test_the_gather_compiles_under_xla() -> None:
    augmentation = drawn(AugmentConfig(noise=0), count=4)

    @tf.function(jit_compile=True)
    def compiled(images: tf.Tensor) -> tf.Tensor:
        return apply(images, augmentation, xla=True)

    expected = apply(slices(4), augmentation)
    np.testing.assert_allclose(compiled(slices(4)), expected, atol=2e-4)


def test_a_seed_draws_the_same_wherever_the_applying_is_compiled() -> None:
    apart = drawn(AugmentConfig(), seed=5)

    @tf.function
    def both() -> tuple[tf.Tensor, tf.Tensor]:
        parameters = drawn(AugmentConfig(), seed=5)
        compiled = tf.function(
            lambda images: apply(images, parameters, xla=True), jit_compile=True
        )
        return parameters.grain, compiled(slices())

    grain, changed = both()
    np.testing.assert_array_equal(grain, apart.grain)
    np.testing.assert_allclose(changed, apply(slices(), apart), atol=2e-4)


def test_noise_is_on_the_scale_of_the_slice() -> None:
    config = AugmentConfig(
        rotation=0, zoom=0, shear=0, shift=0, gamma=0, gain=0, bias=0, noise=0.1, blur=0
    )
    augmentation = drawn(config, count=64)
    flat = tf.fill((64, 150, 150, 1), 0.5)
    deviations = (
        apply(flat, augmentation).numpy()[:, 20:130, 20:130].std(axis=(1, 2, 3))
    )
    np.testing.assert_allclose(deviations, augmentation.noise.numpy(), atol=3e-3)
    assert deviations.max() > 0.05


def test_without_quarter_turns_slices_are_only_mirrored() -> None:
    picture = slices(1).numpy()[0, :, :, 0]
    config = dataclasses.replace(STILL, quarter_turns=False)
    changed = apply(slices(16), drawn(config, count=16)).numpy()[..., 0]
    mirrored = [np.abs(each - picture[:, ::-1]).max() < 1e-3 for each in changed]
    same = [np.abs(each - picture).max() < 1e-3 for each in changed]
    assert any(mirrored)
    assert any(same)
    assert np.all(np.array(mirrored) ^ np.array(same))


def test_noise_that_is_always_there_has_one_deviation() -> None:
    config = dataclasses.replace(STILL, noise=0.07, noise_always=True)
    flat = tf.fill((16, 150, 150, 1), 0.5)
    changed = apply(flat, drawn(config, count=16)).numpy()
    np.testing.assert_allclose(changed.std(axis=(1, 2, 3)), 0.07, rtol=0.05)


def test_axes_zoom_apart_where_that_is_wanted() -> None:
    config = dataclasses.replace(STILL, zoom=0.2, quarter_turns=False, zoom_axes=True)
    across, down = np.abs(
        drawn(config, count=500).matrices.numpy()[:, [0, 1], [0, 1]]
    ).T
    for zoom in (across, down):
        assert 0.8 <= zoom.min() < 0.82
        assert 1.18 < zoom.max() <= 1.2
    assert abs(np.corrcoef(across, down)[0, 1]) < 0.15


@pytest.mark.parametrize(("name", "value"), [("rotation", -1.0), ("zoom", 1.5)])
def test_a_senseless_strength_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        AugmentConfig(**{name: value})
