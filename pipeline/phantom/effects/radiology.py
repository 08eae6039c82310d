"""X-ray and emission tomography of a head."""

import numpy as np

from pipeline.phantom import fields
from pipeline.phantom.effects.places import millimetres
from pipeline.phantom.fields import Volume

_GREY_HOUNSFIELD = 1037.0
"""Attenuation of grey matter, water 1000 and air 0."""

_WINDOWS = {"brain": (38, 85), "soft": (45, 350), "bone": (500, 2200)}
"""Centre and width (Hounsfield units) that a viewer shows."""


def tomography(image: Volume, rng: np.random.Generator) -> Volume:
    """Computed tomography: headrest, table, streak-free noise and a viewer's window."""
    density = np.abs(image) * np.float32(_GREY_HOUNSFIELD)
    if rng.random() < 0.7:
        _add_headrest(density, rng)
    density += np.float32(rng.uniform(1.5, 12)) * fields.white(rng, image.shape)
    window = str(rng.choice([*_WINDOWS, "stored"], p=[0.4, 0.2, 0.15, 0.25]))
    if window == "stored":
        return _stored(density, rng)
    centre, width = _WINDOWS[window]
    low = np.float32(1000 + centre - width / 2)
    shown = (density - low) / np.float32(width * rng.uniform(0.85, 1.3))
    return np.asarray(shown.clip(0, 1), np.float32)


def _stored(density: Volume, rng: np.random.Generator) -> Volume:
    """All values as in files; some makers store less than air outside a circle."""
    stored = density.clip(0, 4095) / np.float32(1000)
    if rng.random() < 0.5:
        stored += np.float32(rng.uniform(0.5, 1.0))
        x, y, _ = millimetres(stored.shape)
        radius = rng.uniform(1.0, 1.15) * 118
        stored *= (x[:, None] ** 2 + (y[None, :] + 8) ** 2 < radius**2)[:, :, None]
    return np.asarray(stored, np.float32)


def _add_headrest(density: Volume, rng: np.random.Generator) -> None:
    """A bowl behind the head and a flat table, where there is only air."""
    x, y, _ = millimetres(density.shape)
    depth = rng.uniform(-122, -104)
    bowl = depth + x**2 / np.float32(rng.uniform(150, 500))
    thick = np.float32(rng.uniform(2, 4))
    rest = np.abs(y[None, :] - bowl[:, None]) < thick
    if rng.random() < 0.5:
        rest |= (np.abs(y[None, :] - np.float32(depth - 4)) < thick) & (
            np.abs(x[:, None]) < 90
        )
    places = rest[:, :, None] & (density < 100)
    density[places] = rng.uniform(300, 1300)


def emission(image: Volume, rng: np.random.Generator) -> Volume:
    """Emission tomography: uptake in patches and coarse, correlated noise."""
    uptake = np.abs(image)
    patches = fields.smooth(rng, image.shape, float(rng.uniform(8, 16)))
    uptake *= np.exp(np.float32(rng.uniform(0.05, 0.3)) * patches)
    grain = fields.smooth(rng, image.shape, float(rng.uniform(2.2, 4)))
    level = np.float32(rng.uniform(0.02, 0.25))
    return (uptake + level * grain * (0.15 + uptake)).clip(0, None)
