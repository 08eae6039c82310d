"""Heads: the template they share, and what makes each one its own."""

import dataclasses

import numpy as np
import pytest

from pipeline.phantom import objects, physics, template
from pipeline.phantom.anatomy import (
    Subject,
    render,
    sample_subject,
    spline_weights,
)
from pipeline.phantom.composition import FOLDS


@pytest.fixture(scope="module")
def plain() -> Subject:
    """A subject without lesions, neither turned nor bent."""
    drawn = sample_subject(np.random.default_rng(0))
    return dataclasses.replace(
        drawn,
        linear=np.eye(3),
        shift=np.zeros(3),
        smooth=np.zeros_like(drawn.smooth),
        fine=np.zeros_like(drawn.fine),
        lesion_load=0.0,
        tumour=None,
        voxel_mm=2.0,
        lowest_mm=-72.0,
    )


def codes_at(mni: tuple[float, float, float], radius: int = 3) -> set[int]:
    head = template.load_template()
    centre = [int(m + o) for m, o in zip(mni, head.origin, strict=True)]
    box = tuple(slice(c - radius, c + radius + 1) for c in centre)
    return set(np.unique(head.codes[box]).tolist())


def test_the_template_has_organs_where_anatomy_puts_them() -> None:
    assert template.EYE in codes_at((32, 72, -34))
    assert template.EYE in codes_at((-32, 72, -34))
    assert template.VENTRICLE in codes_at((12, -20, 20), 8)
    assert template.CORD in codes_at((0, -45, -110))
    assert codes_at((0, -20, 112)) <= set(range(template.SHELL, template.AIR + 1))


def test_the_brain_is_as_large_as_a_brain() -> None:
    codes = template.load_template().codes
    inside = (codes < template.SHELL) | (codes == template.VENTRICLE)
    assert 1.5e6 < inside.sum() < 2.6e6  # mm³; an intracranial volume


def test_without_bending_the_template_is_rendered_as_it_is(plain: Subject) -> None:
    rendered = render(plain)
    head = template.load_template()
    x, y, z = (rendered.rows.shape[0] // 2, rendered.rows.shape[1] // 2, 60)
    at = [
        round(low + 2.0 * index + origin)
        for low, index, origin in zip((-95, -128, -72), (x, y, z), head.origin,
                                      strict=True)
    ]  # fmt: skip
    assert rendered.rows[x, y, z] // FOLDS == head.codes[tuple(at)]


def test_lesions_lie_in_white_matter_and_grow_with_the_load(plain: Subject) -> None:
    volumes = []
    for load in (0.2, 1.0):
        rendered = render(dataclasses.replace(plain, lesion_load=load))
        assert rendered.lesion is not None
        volumes.append(rendered.lesion.sum())
        white = rendered.fractions[rendered.rows][..., physics.WHITE]
        clear = rendered.lesion > 0.5
        assert clear.any()
        assert white[clear].mean() > 0.5
    assert volumes[1] > 2 * volumes[0]
    assert render(plain).lesion is None


def test_a_tumour_has_a_core_within_its_oedema(plain: Subject) -> None:
    rendered = render(dataclasses.replace(plain, tumour=((30.0, -20.0, 20.0), 12.0)))
    assert rendered.core is not None
    assert rendered.lesion is not None
    assert rendered.core.sum() > 100
    assert (rendered.lesion[rendered.core > 0.9] > 0.9).all()
    assert rendered.lesion.sum() > 1.5 * rendered.core.sum()


def test_spline_weights_blend_and_never_create() -> None:
    weights = spline_weights(5, 40)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert (weights >= 0).all()


def test_every_kind_of_object_is_drawn_and_shows_something() -> None:
    kinds = {}
    for seed in range(300):
        kind = objects.sample_kind(np.random.default_rng(seed))
        kinds.setdefault(kind, seed)
    assert len(kinds) == 14
    for seed in kinds.values():
        scan = objects.sample_object(np.random.default_rng(seed))
        assert scan.voxels.std() > 0
