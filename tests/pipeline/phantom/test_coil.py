"""Loops of a receiving array against what is known of them in closed form."""

import dataclasses

import numpy as np
import pytest

from pipeline.phantom.acquisition import EVEN, sample_acquisition
from pipeline.phantom.coil import CENTRE_MM, Array, sample_array, sensitivity
from pipeline.phantom.protocols import FAMILIES, Protocol, sample_protocol

SHAPE = (95, 120, 104)  # 2 mm from -95, -128, -104 to 95, 112, 104


def voxel(x: float, y: float, z: float) -> tuple[int, int, int]:
    return round((x + 95) / 2), round((y + 128) / 2), round((z + 104) / 2)


def loops(*centres: tuple[float, float, float], strength: float = 1.0) -> Array:
    return Array(np.array(centres, float), 40.0, strength)


def test_one_loop_falls_off_as_biot_and_savart_say() -> None:
    field = sensitivity(loops((0, -12, 125)), SHAPE, 2.0)
    for above in (30, 60, 80):
        near, middle = 120 - above, 120  # mm from the loop
        expected = ((1600 + middle**2) / (1600 + near**2)) ** 1.5
        assert field[voxel(0, -12, 5 + above)] == pytest.approx(expected, rel=0.1)


def test_every_array_is_even_in_the_middle() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        if (drawn := sample_array(rng)) is not None:
            field = sensitivity(drawn, SHAPE, 2.0)
            assert field[voxel(*CENTRE_MM)] == pytest.approx(1, rel=0.1)


def test_loops_add_as_the_root_of_their_squares() -> None:
    alone = sensitivity(loops((0, -12, 125)), SHAPE, 2.0)
    twice = sensitivity(loops((0, -12, 125), (0, -12, 125)), SHAPE, 2.0)
    np.testing.assert_allclose(twice, alone, rtol=1e-4)


def test_a_corrected_image_shows_no_loop() -> None:
    field = sensitivity(loops((0, -12, 125), strength=0.0), SHAPE, 2.0)
    np.testing.assert_allclose(field, 1, rtol=1e-6)


def test_an_array_brightens_the_scalp_and_not_the_neck() -> None:
    rng = np.random.default_rng(4)
    arrays = [each for each in (sample_array(rng) for _ in range(60)) if each]
    assert 20 < len(arrays) < 40
    fields = [
        sensitivity(dataclasses.replace(each, strength=1.0), SHAPE, 2.0)
        for each in arrays
    ]
    mean = np.exp(np.mean([np.log(field) for field in fields], axis=0))
    assert 1.5 < mean[voxel(0, -12, 88)] < 6
    assert 1.5 < mean[voxel(74, -12, 5)] < 6
    assert mean[voxel(0, -12, -100)] < 0.7


def test_it_follows_the_head_where_the_field_of_view_ends_higher() -> None:
    array = loops((0, -12, 125), (110, -12, 5))
    whole = sensitivity(array, SHAPE, 2.0)
    upper = sensitivity(array, (95, 120, 72), 2.0)
    np.testing.assert_allclose(upper, whole[:, :, 32:], rtol=0.1)


@pytest.mark.parametrize("name", EVEN)
def test_what_no_coil_receives_has_none(name: str) -> None:
    contrast, family = name.split("/")
    assert family in FAMILIES[contrast]
    rng = np.random.default_rng(5)
    plain = sample_protocol("T1", rng)
    protocol = dataclasses.replace(plain, family=name)
    assert isinstance(protocol, Protocol)
    assert all(sample_acquisition(protocol, 1.5, rng).array is None for _ in range(20))
