"""Where in a rendered head the air-filled caves are that disturb the magnetic field."""

import numpy as np

from pipeline.phantom.fields import Volume

_SOURCES = ((0.0, 52.0, -28.0), (-58.0, -18.0, -32.0), (58.0, -18.0, -32.0))
"""Sinuses and both ears, MNI millimetres."""


def millimetres(shape: tuple[int, ...]) -> list[Volume]:
    """Coordinates (mm) along the axes of a rendered head, roughly MNI's.

    A head is 190 mm wide on every grid; its top is at 104 mm, its back at -128 mm.
    """
    voxel = 190 / shape[0]
    starts = (-95.0, -128.0, 104.0 - voxel * shape[2])
    return [
        (start + voxel * np.arange(side)).astype(np.float32)
        for start, side in zip(starts, shape, strict=True)
    ]


def disturbance(shape: tuple[int, ...], rng: np.random.Generator) -> Volume:
    """How much sinuses and ears disturb the field, 0 to about 1 at their centres."""
    axes = millimetres(shape)
    field = np.zeros(shape, np.float32)
    for source in _SOURCES:
        strength = np.float32(rng.uniform(0.5, 1.2))
        bells = [
            np.exp(-(((axis - np.float32(at)) / np.float32(rng.uniform(12, 24))) ** 2))
            for axis, at in zip(axes, source + rng.normal(0, 5, 3), strict=True)
        ]
        field += (strength * bells[0])[:, None, None] * (
            bells[1][:, None] * bells[2][None, :]
        )
    return field
