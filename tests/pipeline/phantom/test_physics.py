import numpy as np
import pytest

from pipeline.phantom import physics
from pipeline.phantom.physics import FAT, FLUID, GREY, LESION, MUCOSA, WHITE


def tissues(*, three_tesla: bool = True, seed: int = 0) -> physics.TissueValues:
    return physics.sample_tissues(np.random.default_rng(seed), three_tesla=three_tesla)


def test_spin_echo_matches_the_equation_worked_by_hand() -> None:
    one = np.array([1000.0])
    values = physics.TissueValues(
        one, one / 10, one / 20, np.array([0.8]), one, fat_gain=1.0
    )
    # 0.8 * (1 - e^-0.5) * e^-0.2
    assert physics.spin_echo(values, tr=500, te=20) == pytest.approx(0.25772, abs=1e-5)


def test_spoiled_gradient_echo_is_brightest_at_the_ernst_angle() -> None:
    values = tissues()
    ernst = np.rad2deg(np.arccos(np.exp(-20 / values.t1[WHITE])))
    bright = [
        physics.spoiled_gradient_echo(values, tr=20, te=4, angle=angle)[WHITE]
        for angle in (ernst - 5, ernst, ernst + 5)
    ]
    assert bright[1] == max(bright)


@pytest.mark.parametrize("tr", [5000.0, 9000.0])
def test_the_null_time_makes_fluid_black(tr: float) -> None:
    values = tissues()
    ti = physics.fluid_null(values, tr)
    signal = physics.inversion_recovery(values, tr=tr, te=100, ti=ti)
    assert abs(signal[FLUID]) < 1e-6
    assert signal[GREY] > 0.05


@pytest.mark.parametrize("seed", range(5))
def test_t1_weighting_orders_white_grey_fluid(seed: int) -> None:
    signal = physics.magnetisation_prepared(tissues(seed=seed), tr=2000, te=3, ti=900)
    assert signal[WHITE] > signal[GREY] > signal[FLUID]


@pytest.mark.parametrize("seed", range(5))
def test_t2_weighting_orders_fluid_lesion_grey_white(seed: int) -> None:
    signal = physics.spin_echo(tissues(seed=seed), tr=5000, te=100)
    assert signal[FLUID] > signal[LESION] > signal[GREY] > signal[WHITE]


def test_gadolinium_brightens_mucosa_and_spares_the_brain() -> None:
    before = tissues()
    after = physics.with_gadolinium(before, np.random.default_rng(1))
    plain, enhanced = (
        physics.spin_echo(values, tr=500, te=10) for values in (before, after)
    )
    assert enhanced[MUCOSA] > 1.2 * plain[MUCOSA]
    assert enhanced[WHITE] == plain[WHITE]
    assert enhanced[FAT] == plain[FAT]


def test_tissue_before_its_null_has_the_opposite_sign() -> None:
    values = tissues()
    signal = physics.inversion_recovery(values, tr=3000, te=20, ti=500)
    assert signal[FAT] > 0 > signal[FLUID]
