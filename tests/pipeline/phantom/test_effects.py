"""What is done to a head's image beyond its tissues' signals."""

import numpy as np
import pytest

from mri_contrast.scans import Scan
from mri_contrast.slices import cut
from pipeline.phantom import effects, fields, physics
from pipeline.phantom.acquisition import acquire, sample_acquisition
from pipeline.phantom.anatomy import Anatomy, render, sample_subject
from pipeline.phantom.effects import COMPUTED, EFFECTS, apply_effect
from pipeline.phantom.other_protocols import OTHER_FAMILIES
from pipeline.phantom.protocols import FAMILIES, sample_protocol


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """Nested balls: scalp, bone, grey matter and a core."""
    x, y, z = np.ogrid[-1:1:65j, -1:1:80j, -1:1:55j]
    apart = np.sqrt(x**2 + y**2 + z**2)
    image = np.select(
        [apart < 0.3, apart < 0.7, apart < 0.8, apart < 0.9], [0.5, 1, 0, 1.5]
    )
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return render(sample_subject(np.random.default_rng(5)))


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_gives_slices_follows_from_its_generator_and_keeps_its_input(
    name: str, head: np.ndarray
) -> None:
    before = head.copy()
    for seed in range(4):
        first, second = (
            apply_effect(head, name, np.random.default_rng(seed)) for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)
        assert first.dtype == np.float32
        assert np.isfinite(first).all()
        assert (first >= 0).all() or name == "dropout"
        assert cut(Scan(first, (1.5, 1.5, 1.5))).std() > 2
    np.testing.assert_array_equal(head, before)


def test_no_effect_leaves_the_image_and_an_unknown_one_is_refused(
    head: np.ndarray,
) -> None:
    rng = np.random.default_rng(0)
    assert apply_effect(head, "", rng) is head
    with pytest.raises(ValueError, match=r"'blur'.*'echo-planar'"):
        apply_effect(head, "blur", rng)


def test_every_effect_belongs_to_a_family_and_every_familys_effects_exist() -> None:
    families = [*OTHER_FAMILIES.values(), *FAMILIES["T1"].values()]
    used = {name for family in families for name in family.effects}
    assert used - {""} == set(EFFECTS)


def test_computed_images_are_never_thick_slices() -> None:
    for family in OTHER_FAMILIES.values():
        if set(family.effects) & set(COMPUTED):
            assert family.volumetric == 1


@pytest.mark.parametrize("name", sorted(OTHER_FAMILIES))
def test_every_family_of_other_gives_slices(name: str, anatomy: Anatomy) -> None:
    rng = np.random.default_rng(1)
    protocol = sample_protocol("other", rng)
    while protocol.family != f"other/{name}":
        protocol = sample_protocol("other", rng)
    drawn = sample_acquisition(protocol, anatomy.voxel_mm, rng)
    first, second = (acquire(anatomy, protocol, drawn) for _ in range(2))
    np.testing.assert_array_equal(first.voxels, second.voxels)
    assert cut(first).std() > 2


def test_labels_are_few_whole_numbers_and_masks_two() -> None:
    rng = np.random.default_rng(2)
    tissues = rng.choice([0, 0.5, 1, 1.5], (20, 20, 20)).astype(np.float32)
    labels = apply_effect(tissues, "labels", rng)
    assert len(np.unique(labels)) == 4
    np.testing.assert_array_equal(labels, np.rint(labels))
    assert (labels[tissues == 0] == 0).all()
    assert set(np.unique(apply_effect(tissues, "mask", rng))) == {0, 1}


def test_inverted_images_have_white_air(head: np.ndarray) -> None:
    inverted = apply_effect(head, "inverted", np.random.default_rng(0))
    assert inverted[0, 0, 0] == inverted.max()


def test_a_ratio_is_any_value_where_there_is_no_signal_and_untouched_elsewhere(
    head: np.ndarray,
) -> None:
    shown = apply_effect(head, "airless", np.random.default_rng(0))
    signal = head > 0.02
    np.testing.assert_array_equal(shown[signal], head[signal])
    assert shown[~signal].std() > 0.2 * head.max()
    assert shown.max() <= head.max()


def test_phase_wraps_between_0_and_1(head: np.ndarray) -> None:
    phase = apply_effect(head, "phase", np.random.default_rng(3))
    assert phase.min() >= 0
    assert phase.max() <= 1
    assert phase.std() > 0.1


def test_vessels_are_brighter_than_all_tissue(head: np.ndarray) -> None:
    shown = apply_effect(head, "angiography", np.random.default_rng(3))
    assert 0.005 < (shown > 1.01 * head.max()).mean() < 0.1


def test_echo_planar_voxels_are_coarse_and_a_ghost_lies_half_a_view_away(
    head: np.ndarray,
) -> None:
    image = apply_effect(head, "echo-planar", np.random.default_rng(1))
    for axis in range(3):
        assert (np.diff(image, axis=axis) == 0).mean() > 0.4
    side, front, top = (side // 2 for side in image.shape)
    beside = image[side - 9 : side + 9, :3, top - 9 : top + 9].mean()
    corner = image[:9, :3, :9].mean()
    assert beside > corner  # the ghost's middle against plain noise
    assert image[side, front, top] > beside


@pytest.mark.parametrize("seed", range(60))
def test_proton_density_and_transfer_pass_for_no_other_contrast(seed: int) -> None:
    rng = np.random.default_rng(seed)
    protocol = sample_protocol("other", rng)
    while protocol.family not in ("other/density", "other/transfer"):
        protocol = sample_protocol("other", rng)
    white, grey, fluid = protocol.signal[[physics.WHITE, physics.GREY, physics.FLUID]]
    assert white < 1.03 * grey  # no T1
    assert 0.4 * grey < fluid < 1.6 * grey  # no FLAIR, no T2


def test_fields_have_unit_variance_and_noise_is_a_view() -> None:
    rng = np.random.default_rng(0)
    assert fields.smooth(rng, (60, 60, 60), 3).std() == pytest.approx(1, abs=0.15)
    noise = fields.white(rng, (50, 50, 50))
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert not noise.flags.owndata
    assert fields.white(rng, (210, 210, 210)).shape == (210, 210, 210)


def test_coarse_blocks_are_means() -> None:
    image = np.arange(5 * 4 * 6, dtype=np.float32).reshape(5, 4, 6)
    coarse = fields.blocks(image, 2)
    assert coarse.shape == (2, 2, 3)
    assert coarse[0, 0, 0] == image[:2, :2, :2].mean()
    assert fields.unblock(coarse, 2).shape == (4, 4, 6)


def test_computed_tomography_keeps_its_skull(anatomy: Anatomy) -> None:
    assert "tomography" in effects.WHOLE_HEAD
    rng = np.random.default_rng(0)
    protocol = sample_protocol("other", rng)
    while protocol.effect != "tomography":
        protocol = sample_protocol("other", rng)
    drawn = sample_acquisition(protocol, anatomy.voxel_mm, rng)
    while drawn.stripped != "brain":
        drawn = sample_acquisition(protocol, anatomy.voxel_mm, rng)
    scan = acquire(anatomy, protocol, drawn)
    share = (scan.voxels > 0.9 * scan.voxels.max()).mean()
    assert share > 0.001
