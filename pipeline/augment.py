"""Augmentation inside the compiled train step: one affine a slice, then intensities.

Sampling draws parameters from a stateless seed; applying is pure, so any batch can be
made again. Flips, quarter turns, rotation, zoom and shear are one resampling, since
each resampling blurs.
"""

import dataclasses
import math
from typing import Any, Final, NamedTuple

import tensorflow as tf

from mri_contrast.slices import SIZE

_FIELD_NODES: Final = 3
_ALG: Final = "philox"  # the same numbers on CPUs and GPUs


@dataclasses.dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How far slices are changed.

    Attributes:
        rotation: Largest turn in degrees, on top of quarter turns and flips: files
            come in any orientation, and nothing in a header can be relied on.
        zoom: Largest zoom, as a share; one axis is stretched by up to a tenth of it,
            unless `zoom_axes` is set.
        shear: Largest shear in degrees.
        shift: Largest shift, as a share of the side.
        gamma: Standard deviation of the logarithm of the exponent.
        gain: Largest change of the window's upper end, as a share.
        dim: Share of slices whose brain is shown at a third to all of its brightness,
            as beside bright fat.
        bias: Standard deviation of the logarithm of a smooth field.
        noise: Largest standard deviation of the noise on the 0-1 scale; half of the
            slices get none, unless `noise_always` is set.
        blur: Share of slices that lose sharpness or, as many, are sharpened.
        quarter_turns: Turn by 0 to 3 quarters; without them, flips are horizontal.
        zoom_axes: Draw the zoom of each axis by itself.
        noise_always: Every slice gets noise of just the deviation `noise`.
    """

    rotation: float = 20.0
    zoom: float = 0.2
    shear: float = 6.0
    shift: float = 0.06
    gamma: float = 0.2
    gain: float = 0.2
    dim: float = 0.15
    bias: float = 0.15
    noise: float = 0.05
    blur: float = 0.6
    quarter_turns: bool = True
    zoom_axes: bool = False
    noise_always: bool = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{field.name} must not be negative, got {value}")
        for name in ("zoom", "gain", "dim", "blur"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be at most 1, got {getattr(self, name)}")


STRENGTHS: Final = tuple(
    field.name
    for field in dataclasses.fields(AugmentConfig)
    if isinstance(field.default, float)
)
"""How far each change goes; the other fields say of what kind it is."""

_NONE: dict[str, Any] = dict.fromkeys(STRENGTHS, 0.0)

STILL: Final = AugmentConfig(**_NONE)
"""Quarter turns and flips alone: every strength is 0."""


class Augmentation(NamedTuple):
    """What is done to the slices of one batch.

    Attributes:
        matrices: (batch, 2, 3) float32: output to input pixels around the centre,
            in units of the side.
        gamma: (batch,) exponents.
        gain: (batch,) factors.
        bias: (batch, 3, 3) logarithms of a field at its nodes.
        noise: (batch,) standard deviations.
        grain: (batch, side, side, 1) float32: noise of standard deviation 1.
        blur: (batch,) weight of the blurred slice, in [-1, 1]; below 0 it sharpens.
    """

    matrices: tf.Tensor
    gamma: tf.Tensor
    gain: tf.Tensor
    bias: tf.Tensor
    noise: tf.Tensor
    grain: tf.Tensor
    blur: tf.Tensor


def sample(
    config: AugmentConfig, batch: int, seed: tf.Tensor, *, side: int = SIZE
) -> Augmentation:
    """Draws an augmentation for each slice of a batch.

    Call it outside of what XLA compiles: XLA would draw other numbers from the seed.

    Args:
        config: How far to go.
        batch: Number of slices.
        seed: (2,) int32; the same seed gives the same augmentation on every device.
        side: Of the slices, in pixels.
    """
    seeds = tf.unstack(tf.random.split(seed, 17, alg=_ALG), num=17)

    def between(number: int, low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform((batch,), seeds[number], low, high, alg=_ALG)

    def uniform(number: int, reach: float) -> tf.Tensor:
        return between(number, -reach, reach)

    def normal(number: int, deviation: float, shape: tuple[int, ...] = ()) -> tf.Tensor:
        drawn = tf.random.stateless_normal((batch, *shape), seeds[number], alg=_ALG)
        return deviation * drawn

    quarter = tf.floor(between(0, 0, 4 if config.quarter_turns else 1))
    angle = quarter * (math.pi / 2) + uniform(1, math.radians(config.rotation))
    flip = tf.sign(uniform(2, 1.0))
    zoom = 1 + uniform(3, config.zoom)
    if config.zoom_axes:
        stretch = (1 + uniform(4, config.zoom)) / zoom
    else:
        stretch = 1 + uniform(4, config.zoom / 10)
    shear = tf.tan(uniform(5, math.radians(config.shear)))
    cosine, sine = tf.cos(angle), tf.sin(angle)
    top = tf.stack([cosine * zoom * flip, zoom * (cosine * shear - sine * stretch)], 1)
    low = tf.stack([sine * zoom * flip, zoom * (sine * shear + cosine * stretch)], 1)
    shift = tf.stack([uniform(6, config.shift), uniform(7, config.shift)], 1)
    linear = tf.stack([top, low], 1)
    nodes = (_FIELD_NODES, _FIELD_NODES)
    dimmed = tf.where(
        between(15, 0, 1) < config.dim, tf.exp(between(16, math.log(1 / 3), 0)), 1.0
    )
    noise = tf.maximum(uniform(11, config.noise), 0)
    if config.noise_always:
        noise = tf.fill((batch,), float(config.noise))
    blurred = between(12, 0, 1) < config.blur
    return Augmentation(
        matrices=tf.concat([linear, shift[:, :, None]], 2),
        gamma=tf.exp(normal(8, config.gamma)),
        gain=(1 + uniform(9, config.gain)) * dimmed,
        bias=normal(10, config.bias, nodes),
        noise=noise,
        grain=_grain((batch, side, side, 1), seeds[14]),
        blur=tf.where(blurred, uniform(13, 1.0), 0.0),
    )


def _grain(shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """Normal numbers by the transform of Box and Muller (1958).

    On a CPU, TensorFlow's own kernel takes 1.05 times as long over the whole step.
    """
    half = -(-math.prod(shape) // 2)
    drawn = tf.random.stateless_uniform((2, half), seed, 1e-7, 1.0, alg=_ALG)
    radius, angle = tf.sqrt(-2 * tf.math.log(drawn[0])), 2 * math.pi * drawn[1]
    pairs = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], 0)
    return tf.reshape(pairs[: math.prod(shape)], shape)


def apply(slices: tf.Tensor, drawn: Augmentation, *, xla: bool = False) -> tf.Tensor:
    """Augments slices.

    Args:
        slices: (batch, side, side, 1) float32 in [0, 1].
        drawn: One augmentation a slice.
        xla: Resample by a gather, which XLA can compile; the projective-transform
            kernel, 2.5 times as fast on CPUs, cannot be.

    Returns:
        Slices of the same shape in [0, 1].
    """
    resample = _resample_by_gather if xla else _resample_by_kernel
    changed = resample(slices, drawn.matrices)
    blurred = tf.nn.avg_pool2d(changed, 3, 1, "SAME")
    changed += drawn.blur[:, None, None, None] * (blurred - changed)
    brightness = _field(drawn.bias, slices.shape[1])
    brightness += tf.math.log(drawn.gain)[:, None, None, None]
    # x^gamma as exp(gamma * log x): a third of the time of tf.pow on a CPU.
    logs = tf.math.log(tf.clip_by_value(changed, 1e-6, 1)) + brightness
    changed = tf.exp(drawn.gamma[:, None, None, None] * logs)
    changed += drawn.noise[:, None, None, None] * drawn.grain
    return tf.clip_by_value(changed, 0, 1)


def _field(nodes: tf.Tensor, side: int) -> tf.Tensor:
    """(batch, side, side, 1): nodes (batch, 3, 3) blended linearly."""
    place = tf.linspace(0.0, _FIELD_NODES - 1.0, side)[:, None]
    weights = tf.maximum(
        1 - tf.abs(place - tf.range(_FIELD_NODES, dtype=tf.float32)), 0
    )
    return tf.einsum("yi,bij,xj->byx", weights, nodes, weights)[..., None]


def _pixel_matrices(matrices: tf.Tensor, side: int) -> tf.Tensor:
    """(batch, 6): the same maps in pixels, x before y, about the middle."""
    middle = (side - 1) / 2
    linear, shift = matrices[:, :, :2], matrices[:, :, 2] * side
    offset = shift + middle - tf.reduce_sum(linear, 2) * middle
    return tf.reshape(tf.concat([linear, offset[:, :, None]], 2), (-1, 6))


def _resample_by_kernel(slices: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    side = slices.shape[1]
    rows = _pixel_matrices(matrices, side)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=slices,
        transforms=tf.pad(rows, ((0, 0), (0, 2))),
        output_shape=(side, side),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _resample_by_gather(slices: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    side = slices.shape[1]
    rows = _pixel_matrices(matrices, side)
    grid = tf.range(side, dtype=tf.float32)
    x, y = grid[None, None, :], grid[None, :, None]
    source_x, source_y = (
        rows[:, first, None, None] * x
        + rows[:, first + 1, None, None] * y
        + rows[:, first + 2, None, None]
        for first in (0, 3)
    )
    # One pixel of black border on each side stands for everything outside.
    padded = tf.reshape(tf.pad(slices, ((0, 0), (1, 1), (1, 1), (0, 0))), (-1,))
    source_x = tf.clip_by_value(source_x, -1, side) + 1
    source_y = tf.clip_by_value(source_y, -1, side) + 1
    left = tf.clip_by_value(tf.floor(source_x), 0, side)
    upper = tf.clip_by_value(tf.floor(source_y), 0, side)
    across, down = source_x - left, source_y - upper
    wide = side + 2
    first = tf.range(tf.shape(slices)[0])[:, None, None] * wide * wide
    corner = first + tf.cast(upper, tf.int32) * wide + tf.cast(left, tf.int32)

    def at(step: int) -> tf.Tensor:
        return tf.gather(padded, corner + step)

    above = at(0) * (1 - across) + at(1) * across
    below = at(wide) * (1 - across) + at(wide + 1) * across
    return (above * (1 - down) + below * down)[..., None]
