import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contrasts import CLASSES
from pipeline.phantom.physics import BONE, FAT, FLUID, GREY, NOTHING, WHITE
from pipeline.phantom.protocols import Protocol, sample_protocol


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), contrast=st.sampled_from(CLASSES))
def test_every_protocol_is_finite_and_relative_to_grey_matter(
    seed: int, contrast: str
) -> None:
    protocol = sample_protocol(contrast, np.random.default_rng(seed))
    assert protocol.contrast == contrast
    assert protocol.family.startswith(f"{contrast}/")
    assert np.isfinite(protocol.signal).all()
    assert protocol.signal[GREY] == pytest.approx(1)


@pytest.mark.parametrize("seed", range(40))
def test_contrasts_look_as_radiologists_know_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t1, t2, flair = (sample_protocol(name, rng).signal for name in CLASSES[:3])
    assert abs(t1[WHITE]) > t1[GREY] > abs(t1[FLUID])
    assert t2[FLUID] > t2[GREY] > t2[WHITE]
    assert flair[GREY] > flair[WHITE] > abs(flair[FLUID])


def test_all_families_of_a_class_are_drawn() -> None:
    rng = np.random.default_rng(0)
    families = {sample_protocol("other", rng).family for _ in range(1000)}
    assert families >= {f"other/{n}" for n in ("density", "t2-star", "diffusion")}
    assert len(families) == 24


def draws(family: str, count: int) -> list[Protocol]:
    rng = np.random.default_rng(0)
    found: list[Protocol] = []
    while len(found) < count:
        drawn = sample_protocol(family.split("/")[0], rng)
        if drawn.family == family:
            found.append(drawn)
    return found


def test_inversion_shown_with_its_sign_has_grey_air() -> None:
    for drawn in draws("T1/true-inversion", 20):
        assert drawn.signal.min() == 0
        assert 0.3 < drawn.signal[NOTHING] < drawn.signal[FAT]
        assert drawn.signal[BONE] == pytest.approx(drawn.signal[NOTHING], rel=0.05)


def test_two_inversions_give_half_and_more_or_less_by_t1_alone() -> None:
    for drawn in draws("T1/two-inversions", 20):
        fat, white, grey, fluid = drawn.signal[[FAT, WHITE, GREY, FLUID]]
        assert fat > white > grey > fluid > 0
        assert drawn.signal[BONE] == drawn.signal[NOTHING] == 0
        assert drawn.effect in ("", "airless")


def test_some_t1_are_post_contrast_and_no_flair_is() -> None:
    rng = np.random.default_rng(0)
    enhanced = [sample_protocol("T1", rng).gadolinium for _ in range(60)]
    assert 5 < sum(enhanced) < 40
    assert not any(sample_protocol("FLAIR", rng).gadolinium for _ in range(30))
