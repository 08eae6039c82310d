"""Whole simulated scans: from (seed, index) to voxels that the slicer takes."""

import pickle

import numpy as np
import pytest

from mri_contrast.slices import cut, cut_planes
from pipeline.contrasts import CLASSES
from pipeline.labelled import NO_PLANES, UNKNOWN
from pipeline.phantom import (
    SCANS_PER_SUBJECT,
    PhantomConfig,
    PhantomScan,
    phantom_scans,
)
from pipeline.phantom import scans as numbered
from pipeline.phantom.acquisition import acquire, sample_acquisition
from pipeline.phantom.anatomy import render, sample_subject
from pipeline.phantom.protocols import sample_protocol


@pytest.fixture(scope="module")
def subject() -> list[PhantomScan]:
    return phantom_scans(PhantomConfig(subjects=1, seed=3))


def test_a_subject_has_every_class_and_its_scans_share_its_name(
    subject: list[PhantomScan],
) -> None:
    assert len(subject) == SCANS_PER_SUBJECT
    assert {scan.contrast for scan in subject} == set(CLASSES)
    assert len({scan.subject for scan in subject}) == 1
    assert len({scan.name for scan in subject}) == SCANS_PER_SUBJECT


def test_every_kind_of_scan_gives_slices(subject: list[PhantomScan]) -> None:
    for scan in subject:
        slices = cut(scan.read())
        assert slices.dtype == np.uint8
        assert slices.shape[1:] == (150, 150)
        assert slices.std() > 5, scan.source


def test_a_scan_follows_from_seed_and_index_alone() -> None:
    alone = PhantomScan(3, 4).read()
    numbered._rendered.cache_clear()
    PhantomScan(9, 4).read()
    again = pickle.loads(pickle.dumps(PhantomScan(3, 4))).read()
    np.testing.assert_array_equal(alone.voxels, again.voxels)
    assert alone.spacing == again.spacing


def test_other_seeds_and_indices_give_other_scans() -> None:
    first, second = PhantomScan(3, 0).read(), PhantomScan(4, 0).read()
    assert (
        first.voxels.shape != second.voxels.shape
        or (first.voxels != second.voxels).any()
    )
    assert (
        PhantomScan(3, 0).protocol().signal[0] != PhantomScan(3, 1).protocol().signal[0]
    )


def test_sampling_is_apart_from_applying() -> None:
    rng = np.random.default_rng(5)
    anatomy = render(sample_subject(rng))
    protocol = sample_protocol("T1", rng)
    drawn = sample_acquisition(protocol, anatomy.voxel_mm, rng)
    first, second = (acquire(anatomy, protocol, drawn) for _ in range(2))
    np.testing.assert_array_equal(first.voxels, second.voxels)


def test_thick_slices_are_thick_along_their_stored_axis() -> None:
    thick = [
        scan
        for scan in phantom_scans(PhantomConfig(subjects=2, seed=1))
        if scan.kind != "object"
        and scan.acquisition().thickness > 1
        and not scan.acquisition().resampled
    ]
    assert thick
    for scan in thick[:3]:
        taken, spacing = scan.acquisition(), scan.read().spacing
        assert np.argmax(spacing) == taken.permutation.index(taken.axis)
        assert scan.planes[np.argmax(spacing)] == taken.axis


def test_gadolinium_is_known_of_t1_and_planes_of_every_head() -> None:
    scans = phantom_scans(PhantomConfig(subjects=12))
    t1 = [scan for scan in scans if scan.kind == "T1"]
    assert {scan.gadolinium for scan in t1} == {0, 1}
    assert all(scan.gadolinium == scan.protocol().gadolinium for scan in t1)
    assert {scan.gadolinium for scan in scans if scan.kind != "T1"} == {UNKNOWN}
    for scan in scans:
        known = NO_PLANES if scan.kind == "object" else (0, 1, 2)
        assert sorted(scan.planes) == list(known)


def test_planes_thicker_than_three_to_one_are_not_cut() -> None:
    scan = PhantomScan(3, 0).read()
    for axis in cut_planes(scan):
        sides = [scan.spacing[other] for other in range(3) if other != axis]
        assert max(sides) <= 3 * min(sides)


def test_what_is_no_brain_has_no_protocol() -> None:
    with pytest.raises(ValueError, match="shows no brain"):
        PhantomScan(0, SCANS_PER_SUBJECT - 1).protocol()


@pytest.mark.parametrize(("subjects", "seed"), [(0, 0), (1, -1)])
def test_a_senseless_collection_is_refused(subjects: int, seed: int) -> None:
    with pytest.raises(ValueError, match="must"):
        PhantomConfig(subjects, seed)


def test_sealed_scans_are_of_families_and_artefacts_that_no_training_sees() -> None:
    def sources(*, sealed: bool) -> set[str]:
        scans = phantom_scans(PhantomConfig(40, 1, sealed=sealed))
        return {scan.source for scan in scans if scan.kind in ("T1", "T2", "FLAIR")}

    def parts(found: set[str]) -> tuple[set[str], set[str]]:
        split = [source.split("/") for source in found]
        return {f"{s[1]}/{s[2]}" for s in split}, {s[4] for s in split if len(s) > 4}

    families, artefacts = parts(sources(sealed=False))
    other_families, other_artefacts = parts(sources(sealed=True))
    assert not families & other_families
    assert artefacts
    assert other_artefacts
    assert not artefacts & other_artefacts


def test_sealed_scans_are_all_for_the_test() -> None:
    assert {scan.split for scan in phantom_scans(PhantomConfig(1, sealed=True))} == {
        "test"
    }
    assert PhantomScan(0, 0).split is None


def test_sealed_scans_share_no_draw_with_the_plain_ones_of_their_number() -> None:
    pairs = [
        (PhantomScan(0, index), PhantomScan(0, index, "test", sealed=True))
        for index in range(2 * SCANS_PER_SUBJECT)
    ]
    for plain, sealed in pairs:
        assert plain.subject != sealed.subject
        assert plain.name != sealed.name
        first, second = plain.read().voxels, sealed.read().voxels
        assert first.shape != second.shape or not np.array_equal(first, second)
        if plain.kind != "object":
            ours, theirs = plain.protocol().signal, sealed.protocol().signal
            assert not np.array_equal(ours, theirs)
            seeds = [scan.acquisition().noise_seed for scan in (plain, sealed)]
            assert seeds[0] != seeds[1]
    plain, sealed = (numbered._subject(*scan._head) for scan in pairs[0])
    assert plain.tissues != sealed.tissues
    assert plain.tile_shift != sealed.tile_shift


def test_the_source_tells_field_strength_and_artefact() -> None:
    scan = next(
        scan
        for scan in phantom_scans(PhantomConfig(20, 5))
        if scan.kind == "T1" and scan.acquisition().artefact
    )
    field = "3T" if scan.protocol().three_tesla else "1.5T"
    artefact = scan.acquisition().artefact
    assert scan.source == f"phantom/{scan.protocol().family}/{field}/{artefact}"


def test_the_source_tells_nothing_that_was_not_done() -> None:
    scans = [s for s in phantom_scans(PhantomConfig(150, 2)) if s.kind == "other"]
    told = {scan.protocol().family: scan.source for scan in scans}
    assert told["other/ct"] == "phantom/other/ct"  # no field, and nothing went wrong
    assert "T" not in told["other/emission"].removeprefix("phantom/other/emission")
    maps = [scan for scan in scans if scan.protocol().family == "other/segmentation"]
    assert any(scan.acquisition().artefact for scan in maps)
    fields = {scan.source.removeprefix("phantom/other/segmentation/") for scan in maps}
    assert fields <= {"1.5T", "3T"}
