import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import Scan
from mri_contrast.slices import SIZE, area_weights, cut, cut_planes, find_window


def ball(shape: tuple[int, int, int], *, fat: float = 0.0) -> np.ndarray:
    """A head: brain of 100 to 200, air of 0, and a shell of fat where asked for."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    brain = np.random.default_rng(0).uniform(100, 200, shape)
    head = np.where(radius < 0.7, brain, 0)
    return np.where((radius > 0.75) & (radius < 0.85), fat, head).astype(np.float32)


def test_a_volume_gives_eight_slices_of_each_plane() -> None:
    slices = cut(Scan(ball((60, 70, 80))))
    assert slices.shape == (24, SIZE, SIZE)
    assert slices.dtype == np.uint8


def test_a_single_image_gives_one_slice() -> None:
    assert cut(Scan(ball((90, 80, 33))[:, :, 16:17])).shape == (1, SIZE, SIZE)


def test_thick_slices_are_cut_along_their_own_axis_only() -> None:
    planes = cut_planes(Scan(ball((80, 80, 20)), (1.0, 1.0, 5.0)))
    assert list(planes) == [2]


@pytest.mark.parametrize("fat", [0.0, 200.0, 800.0])
def test_the_window_shows_the_brain_however_bright_the_fat(fat: float) -> None:
    window = find_window(ball((64, 64, 64), fat=fat))
    assert window.low == 0
    assert window.high == pytest.approx(198, abs=3)


def test_scaling_of_the_intensities_changes_nothing() -> None:
    head = ball((50, 50, 50))
    plain, scaled = cut(Scan(head)), cut(Scan(head * 37 + 1000))
    assert np.abs(plain.astype(int) - scaled.astype(int)).max() <= 1


def test_memory_order_changes_nothing() -> None:
    head = ball((50, 60, 70))
    np.testing.assert_array_equal(cut(Scan(head)), cut(Scan(np.asfortranarray(head))))


def test_pixels_keep_their_physical_aspect_in_a_padded_square() -> None:
    head = np.random.default_rng(0).uniform(50, 100, (40, 80, 40))
    slices = cut_planes(Scan(head, (1.0, 1.0, 1.0)))[2]
    rows = np.flatnonzero(slices[0].any(axis=1))
    columns = np.flatnonzero(slices[0].any(axis=0))
    assert (rows[0], rows[-1]) == (37, 111)
    assert (columns[0], columns[-1]) == (0, SIZE - 1)


def test_spacing_makes_up_for_unequal_voxels() -> None:
    slices = cut_planes(Scan(ball((40, 80, 80)), (2.0, 1.0, 1.0)))[2]
    middle = slices[4] > 0
    assert middle.any(axis=0).sum() == pytest.approx(middle.any(axis=1).sum(), abs=6)


def test_resizing_keeps_the_mean() -> None:
    picture = np.random.default_rng(0).random((217, 150)).astype(np.float32)
    resized = area_weights(217, 150) @ picture
    assert resized.mean() == pytest.approx(picture.mean(), abs=1e-4)


def test_what_is_not_finite_is_dark() -> None:
    head = ball((40, 40, 40))
    broken = head.copy()
    broken[20, 20, :] = np.nan
    broken[10, 20, :] = np.inf
    slices = cut(Scan(broken))
    assert slices.shape == (24, SIZE, SIZE)
    changed = np.abs(slices.astype(int) - cut(Scan(head)).astype(int)) > 8
    assert 0 < changed.mean() < 0.1


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.zeros((40, 40, 40)), "blank"),
        (np.full((40, 40, 40), 7.0), "blank"),
        (np.full((40, 40, 40), np.nan), "finite"),
        (np.ones((4, 5, 7)), "no usable plane"),
    ],
)
def test_what_shows_nothing_is_refused(voxels: np.ndarray, reason: str) -> None:
    with pytest.raises(UnreadableScan, match=reason):
        cut(Scan(voxels))


@settings(max_examples=60, deadline=None)
@given(
    voxels=arrays.arrays(
        st.sampled_from([np.uint8, np.int16, np.float32, np.float64]),
        st.tuples(st.integers(1, 40), st.integers(16, 40), st.integers(16, 40)),
    ),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
)
def test_any_array_gives_slices_or_a_reason(
    voxels: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    try:
        slices = cut(Scan(voxels, spacing))
    except UnreadableScan:
        return
    assert 1 <= len(slices) <= 24
    assert slices.shape[1:] == (SIZE, SIZE)
