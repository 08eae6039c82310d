"""The scanner's parts one by one, on images whose outcome is known."""

import dataclasses

import numpy as np
import pytest

from pipeline.phantom import physics, template
from pipeline.phantom.acquisition import (
    Acquisition,
    acquire,
    receive,
    sample_acquisition,
    store,
)
from pipeline.phantom.anatomy import Anatomy
from pipeline.phantom.composition import FOLDS, fractions, sample_composition
from pipeline.phantom.protocols import Protocol, sample_protocol


def acquisition(**changes: object) -> Acquisition:
    """One that changes nothing, but for what is asked."""
    rng = np.random.default_rng(0)
    plain = dataclasses.replace(
        sample_acquisition(sample_protocol("T1", rng), 1.5, rng),
        axis=2,
        thickness=1,
        gap=0,
        blur=0.0,
        array=None,
        bias=np.zeros((4, 4, 4), np.float32),
        texture=np.zeros((20, 24, 24), np.float32),
        grain=0.0,
        noise=0.0,
        clean_background=False,
        stripped="",
        gamma=1.0,
        shading=np.zeros(512, np.float32),
        margin=(0.0, 0.0, 0.0),
        artefact="",
        resampled=False,
        permutation=(0, 1, 2),
        flips=(False, False, False),
        peak=0,
    )
    return dataclasses.replace(plain, **changes)


def anatomy(codes: np.ndarray) -> Anatomy:
    table = fractions(sample_composition(np.random.default_rng(0)))
    rows = (codes.astype(np.int32) * FOLDS + FOLDS // 2).astype(np.uint16)
    return Anatomy(rows, table, None, None, 1.5)


def shining(**signals: float) -> Protocol:
    signal = np.zeros(len(physics.TISSUES), np.float32)
    for name, value in signals.items():
        signal[physics.TISSUES.index(name)] = value
    return Protocol("test", "T1", signal, volumetric=True)


def test_without_any_disturbance_the_image_is_received_as_it_is() -> None:
    image = np.random.default_rng(1).random((20, 20, 20)).astype(np.float32)
    np.testing.assert_allclose(receive(image, acquisition()), image, rtol=1e-5)


def test_the_receiver_takes_the_magnitude() -> None:
    image = np.full((8, 8, 8), -0.7, np.float32)
    np.testing.assert_allclose(receive(image, acquisition()), 0.7, rtol=1e-5)


def test_noise_in_air_is_rayleigh_and_on_signal_normal() -> None:
    drawn = acquisition(noise=0.1)
    air = receive(np.zeros((60, 60, 60), np.float32), drawn)
    bright = receive(np.full((60, 60, 60), 2, np.float32), drawn)
    # A Rayleigh variable's mean is sigma * sqrt(pi / 2).
    assert air.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.01)
    assert bright.std() == pytest.approx(0.1, rel=0.02)


def test_noise_does_not_repeat_within_a_scan_nor_between_scans() -> None:
    flat = np.full((180, 180, 180), 2, np.float32)
    first, second = (
        receive(flat, acquisition(noise=0.1, noise_seed=seed)).ravel() - 2
        for seed in (1, 2)
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01
    half = first.size // 2
    assert abs(np.corrcoef(first[:half], first[half : 2 * half])[0, 1]) < 0.01


def test_bias_is_smooth_and_as_strong_as_its_nodes() -> None:
    nodes = np.zeros((4, 4, 4), np.float32)
    nodes[0] = 0.5
    field = np.log(receive(np.ones((40, 40, 40), np.float32), acquisition(bias=nodes)))
    assert field[0].mean() > 0.3
    assert abs(field[-1].mean()) < 0.01
    assert np.abs(np.diff(field, axis=0)).max() < 0.05


def test_thick_slices_average_and_gaps_are_left_out() -> None:
    codes = np.full((40, 40, 12), template.AIR)
    codes[:, :, ::3] = template.EYE
    scan = acquire(
        anatomy(codes), shining(eye=3.0), acquisition(thickness=2, gap=1, blur=0.0)
    )
    assert scan.voxels.shape == (40, 40, 4)
    assert scan.spacing == pytest.approx((1.5, 1.5, 4.5))
    np.testing.assert_allclose(scan.voxels, 1.5, rtol=1e-5)


def test_opposite_signs_cancel_within_a_thick_slice() -> None:
    codes = np.full((20, 20, 4), template.EYE)
    codes[:, :, ::2] = template.CORD
    scan = acquire(
        anatomy(codes), shining(eye=1.0, cord=-1.0), acquisition(thickness=2)
    )
    np.testing.assert_allclose(scan.voxels, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("stripped", "left"),
    [
        ("", {"brain", "ventricle", "scalp", "face"}),
        ("face", {"brain", "ventricle", "scalp"}),
        ("skull", {"brain", "ventricle"}),
        ("brain", {"brain", "ventricle"}),
    ],
)
def test_stripping_removes_what_it_says(stripped: str, left: set[str]) -> None:
    codes = {
        "brain": template.BRAIN + template.LEVELS - 1,
        "ventricle": template.VENTRICLE,
        "scalp": template.SHELL + 30,
        "face": template.ORBIT,
    }
    everything = shining(**dict.fromkeys(physics.TISSUES, 1.0))
    for name, code in codes.items():
        scan = acquire(
            anatomy(np.full((4, 4, 4), code)),
            everything,
            acquisition(stripped=stripped),
        )
        assert (scan.voxels.max() > 0.5) == (name in left), name


def test_a_margin_adds_air_or_cuts_the_field_of_view() -> None:
    image = np.ones((40, 40, 40), np.float32)
    wide = store(image, [1, 1, 1], acquisition(margin=(0.2, 0, 0)))
    tight = store(image, [1, 1, 1], acquisition(margin=(-0.2, 0, 0)))
    assert wide.voxels.shape == (48, 40, 40)
    assert tight.voxels.shape == (32, 40, 40)


def test_a_crop_leaves_something_to_see() -> None:
    small = store(
        np.ones((30, 20, 40), np.float32),
        [1, 1, 1],
        acquisition(axis=2, margin=(-0.6, -0.6, 0)),
    )
    assert small.voxels.shape == (24, 20, 40)


def test_interpolated_slices_have_small_voxels_and_the_same_ends() -> None:
    codes = np.full((20, 20, 12), template.AIR)
    codes[:, :, :6] = template.EYE
    scan = acquire(
        anatomy(codes), shining(eye=2.0), acquisition(thickness=3, resampled=True)
    )
    assert scan.spacing == (1.5, 1.5, 1.5)
    assert scan.voxels.shape == (20, 20, 12)
    np.testing.assert_allclose(scan.voxels[..., 0], 2, rtol=1e-5)
    np.testing.assert_allclose(scan.voxels[..., -1], 0, atol=1e-6)
    middle = scan.voxels[10, 10]
    assert np.all(np.diff(middle) <= 1e-6)
    assert len(np.unique(middle.round(3))) > 3  # blended, not repeated


def test_axes_are_stored_in_their_order_with_their_spacing() -> None:
    image = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    scan = store(
        image,
        [1.0, 2.0, 3.0],
        acquisition(permutation=(2, 0, 1), flips=(True, False, False)),
    )
    np.testing.assert_array_equal(scan.voxels, image.transpose(2, 0, 1)[::-1])
    assert scan.spacing == (3.0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("peak", "kind"), [(0, np.float32), (255, np.uint8), (4095, np.int16)]
)
def test_numbers_are_stored_up_to_their_peak(peak: int, kind: type) -> None:
    image = np.linspace(0, 3, 1000, dtype=np.float32).reshape(10, 10, 10)
    voxels = store(image, [1, 1, 1], acquisition(peak=peak)).voxels
    assert voxels.dtype == kind
    assert voxels.max() == (peak or 3)
