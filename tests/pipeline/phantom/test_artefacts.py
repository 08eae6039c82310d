from collections import Counter

import numpy as np
import pytest

from pipeline.phantom.artefacts import (
    CLEAN_SHARE,
    NAMES,
    SEALED,
    sample_artefact,
    spoil,
)

EVERY = [*NAMES, *SEALED]


def ball() -> np.ndarray:
    grid = np.ogrid[-1:1:40j, -1:1:44j, -1:1:36j]
    return (sum(axis**2 for axis in grid) < 0.7).astype(np.float32)


@pytest.mark.parametrize("name", EVERY)
def test_an_artefact_changes_the_image_and_follows_from_its_seed(name: str) -> None:
    image = ball()
    spoilt = spoil(image, name, 3)
    assert spoilt.dtype == np.float32
    assert np.isfinite(spoilt).all()
    assert spoilt.shape != image.shape or np.abs(spoilt - image).max() > 0.01
    np.testing.assert_array_equal(spoilt, spoil(ball(), name, 3))
    np.testing.assert_array_equal(image, ball())  # the argument is left alone


def test_no_artefact_changes_nothing() -> None:
    image = ball()
    assert spoil(image, "", 3) is image


def test_ghosts_lie_where_there_is_nothing() -> None:
    image = ball()
    assert np.abs(spoil(image, "ghost", 5)[image == 0]).max() > 0.01


def test_wrapping_shortens_one_side_and_folds_the_rest_in() -> None:
    image = np.zeros((40, 40, 40), np.float32)
    image[:3] = image[:, :3] = image[:, :, :3] = 1
    wrapped = spoil(image, "wrap", 1)
    assert sorted(wrapped.shape)[0] < 40
    assert sorted(wrapped.shape)[1:] == [40, 40]
    assert wrapped.max() > 1


def test_training_and_sealed_tests_share_no_artefact() -> None:
    drawn = {
        sealed: Counter(
            sample_artefact(np.random.default_rng(seed), sealed=sealed)
            for seed in range(400)
        )
        for sealed in (False, True)
    }
    assert set(drawn[False]) == {"", *NAMES}
    assert set(drawn[True]) == {"", *SEALED}
    assert not set(NAMES) & set(SEALED)
    assert abs(drawn[False][""] / 400 - CLEAN_SHARE) < 0.1


def test_what_lies_still_is_not_changed_by_movement() -> None:
    """Both halves of the acquisition together are the whole of it, no more or less."""
    same_everywhere = np.full((30, 30, 30), 0.5, np.float32)
    np.testing.assert_allclose(spoil(same_everywhere, "movement", 4), 0.5, rtol=1e-6)
    image = ball()
    # The mean does not move with the head, however sharply the halves are parted.
    assert spoil(image, "movement", 4).mean() == pytest.approx(image.mean(), rel=1e-3)
