import numpy as np
import pytest

from pipeline.phantom import (
    SCANS_PER_SUBJECT,
    PhantomConfig,
    PhantomScan,
    phantom_scans,
    physics,
)
from pipeline.phantom.ingredients import INGREDIENTS, VARIETY
from pipeline.phantom.protocols import COMMON_OTHER

FEW = range(0, 10 * SCANS_PER_SUBJECT, SCANS_PER_SUBJECT)


def scan(index: int, *without: str) -> PhantomScan:
    return PhantomScan(11, index, without=without)


@pytest.mark.parametrize("name", [name for name in INGREDIENTS if name != VARIETY])
def test_leaving_an_ingredient_out_changes_some_scan_of_a_few(name: str) -> None:
    def differs(index: int) -> bool:
        whole, less = scan(index).read().voxels, scan(index, name).read().voxels
        return whole.shape != less.shape or not np.array_equal(whole, less)

    assert any(differs(index) for index in FEW)


def test_fat_left_out_is_as_bright_as_its_tissue_values_make_it() -> None:
    gains = [scan(index).protocol().fat_gain for index in FEW]
    assert min(gains) < 0.8
    assert max(gains) > 1.5
    for index, gain in zip(FEW, gains, strict=True):
        whole, plain = scan(index).protocol(), scan(index, "fat").protocol()
        expected = whole.signal[physics.FAT] / gain
        assert plain.signal[physics.FAT] == pytest.approx(expected, rel=1e-5)
        np.testing.assert_array_equal(
            np.delete(plain.signal, physics.FAT), np.delete(whole.signal, physics.FAT)
        )


def test_fat_stays_as_it_is_where_no_density_makes_it() -> None:
    scans = [s for s in phantom_scans(PhantomConfig(120, 11)) if s.kind == "other"]
    outright = {"other/ct", "other/segmentation", "other/t1-map", "other/emission"}
    found = [s for s in scans if s.protocol().family in outright]
    assert {s.protocol().family for s in found} == outright
    for each in found:
        plain = scan(each.index, "fat").protocol()
        np.testing.assert_array_equal(plain.signal, each.protocol().signal)


def test_without_variety_other_is_three_families() -> None:
    scans = phantom_scans(PhantomConfig(40, 11))
    others = [each.index for each in scans if each.kind == "other"]
    families = {scan(index, VARIETY).protocol().family for index in others}
    assert families == {f"other/{name}" for name in COMMON_OTHER}
    assert len({scan(index).protocol().family for index in others}) > 10


def test_what_is_left_out_moves_no_other_draw() -> None:
    whole, less = scan(3), scan(3, "fat", "lesions")
    assert whole.protocol().family == less.protocol().family
    assert whole.acquisition().noise_seed == less.acquisition().noise_seed
    assert whole.read().voxels.shape == less.read().voxels.shape


def test_an_unknown_ingredient_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"salt cannot be left out; there are .*fat"):
        PhantomConfig(1, without=("salt",))


def test_a_collection_passes_on_what_is_left_out() -> None:
    scans = phantom_scans(PhantomConfig(1, 2, without=("head",)))
    assert {each.without for each in scans} == {("head",)}
    assert scans[0].acquisition().stripped == "skull"
