"""What is no brain at all."""

import numpy as np
import pytest

from mri_contrast.slices import cut
from pipeline.phantom import objects
from pipeline.phantom.objects.canvas import Canvas

_KINDS = sorted(objects._KINDS)


def _seeds(kind: str, count: int) -> list[int]:
    """Seeds whose first draw is this kind."""
    found = (
        seed
        for seed in range(5000)
        if objects.sample_kind(np.random.default_rng(seed)) == kind
    )
    return [next(found) for _ in range(count)]


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_gives_slices_and_follows_from_its_generator(kind: str) -> None:
    shapes = set()
    for seed in _seeds(kind, 5):
        first, second = (
            objects.sample_object(np.random.default_rng(seed)) for _ in range(2)
        )
        np.testing.assert_array_equal(first.voxels, second.voxels)
        assert first.spacing == second.spacing
        assert np.isfinite(first.voxels).all()
        assert first.voxels.min() < first.voxels.max()
        slices = cut(first)
        assert slices.max() > slices.min()
        shapes.add((first.voxels.shape, first.spacing))
    assert len(shapes) > 1


def test_shares_are_respected() -> None:
    rng = np.random.default_rng(0)
    kinds = [objects.sample_kind(rng) for _ in range(1500)]
    assert set(kinds) == set(_KINDS)
    assert kinds.count("body") > 3 * kinds.count("screenshot")


def test_a_solid_covers_its_ellipsoid_and_only_where_it_may() -> None:
    canvas = Canvas(np.random.default_rng(0), (60, 60, 60), 10)
    canvas.solid((0, 0, 0), (0.5, 0.5, 0.5), 1, wobble=0)
    volume = canvas.image.mean() * 8  # the canvas measures 2 along each axis
    assert volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.1)
    half = np.zeros((60, 60, 60), bool)
    half[:30] = True
    canvas.solid((0, 0, 0), (0.5, 0.5, 0.5), 2, wobble=0, where=half)
    assert (canvas.image[30:] < 2).all()
    assert canvas.image[15:30].max() == 2


def test_a_solid_outside_the_canvas_paints_nothing() -> None:
    canvas = Canvas(np.random.default_rng(0), (20, 20, 20), 10)
    canvas.solid((5, 0, 0), (0.5, 0.5, 0.5), 1)
    assert not canvas.image.any()
