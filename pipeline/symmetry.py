"""Layers whose answer to a turned or mirrored slice is their turned or mirrored answer.

Files come in any orientation, so a network should see the same in a slice however it
lies. Convolutions over the group of the square's eight symmetries (Cohen and Welling,
Group Equivariant Convolutional Networks, 2016) share each filter among the eight ways
that it can lie: a network of them, pooled over slice and group, gives the same answer
to all eight to the last few bits, and learns from each slice what others learn from
eight.

Channels stand in eight runs, one for each symmetry: channel `g * filters + c` holds
feature `c` found in orientation `g`.
"""

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

_MATRICES: Final = tuple(
    np.array([[1, 0], [0, -1 if mirrored else 1]]) @ turned
    for mirrored in (False, True)
    for turned in (
        np.array([[1, 0], [0, 1]]),
        np.array([[0, -1], [1, 0]]),
        np.array([[-1, 0], [0, -1]]),
        np.array([[0, 1], [-1, 0]]),
    )
)
"""The symmetries of a square, as maps of (row, column) about its middle."""

ORDER: Final = len(_MATRICES)


def _index(matrix: Any) -> int:
    return next(i for i, other in enumerate(_MATRICES) if (other == matrix).all())


_INVERSE_TIMES: Final = [
    [_index(first.T @ second) for second in _MATRICES] for first in _MATRICES
]
"""`[g][h]`: which symmetry g⁻¹h is; an orthogonal matrix is inverted by transposing."""


def turn(kernel: tf.Tensor, symmetry: int) -> tf.Tensor:
    """Moves a kernel by a symmetry: what lay at x comes to lie at g x.

    Args:
        kernel: (side, side, …).
        symmetry: In [0, `ORDER`).
    """
    matrix = _MATRICES[symmetry]
    if matrix[0, 0] == 0:  # rows become columns
        kernel = tf.transpose(kernel, [1, 0, *range(2, len(kernel.shape))])
    reverse = [axis for axis in (0, 1) if matrix[axis].sum() < 0]
    return tf.reverse(kernel, reverse) if reverse else kernel


@keras.saving.register_keras_serializable("mri_contrast")
class SymmetricConvolution(keras.layers.Layer):  # type: ignore[misc]
    """Convolution over positions and, after the first one, over the eight symmetries.

    Attributes:
        filters: Features; the output has eight times as many channels.
        kernel: Side in pixels. With a stride of 2 it must be even where slices' sides
            are even and odd where they are odd, or else the last pixels are left out.
        strides: In pixels.
        lifts: The input is a slice, without channels for the symmetries.
    """

    def __init__(
        self,
        filters: int,
        kernel: int,
        *,
        strides: int = 1,
        lifts: bool = False,
        kernel_initializer: Any = "he_normal",
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.filters, self.side, self.strides = filters, kernel, strides
        self.lifts = lifts
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the one kernel that all orientations share."""
        channels = input_shape[-1]
        assert channels is not None
        groups = () if self.lifts else (ORDER,)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(
                self.side, self.side, *groups,
                channels if self.lifts else channels // ORDER, self.filters,
            ),
            initializer=self.kernel_initializer,
        )  # fmt: skip
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Returns (batch, rows, columns, 8 * filters) from the same with fewer."""
        around = [self.side // 2] * 2
        padding = [[0, 0], around, around, [0, 0]]
        return tf.nn.conv2d(inputs, self._all_orientations(), self.strides, padding)

    def _all_orientations(self) -> tf.Tensor:
        """(side, side, channels, 8 * filters): the kernel turned each way."""
        kernel = tf.convert_to_tensor(self.kernel)
        turned = []
        for symmetry in range(ORDER):
            one = turn(kernel, symmetry)
            if not self.lifts:
                one = tf.gather(one, _INVERSE_TIMES[symmetry], axis=2)
            turned.append(one)
        filters = tf.stack(turned, axis=-2)
        return tf.reshape(filters, (self.side, self.side, -1, ORDER * self.filters))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Of (batch, rows, columns, channels)."""
        batch, *sides, _ = input_shape
        left = 2 * (self.side // 2) - self.side
        small = [
            None if side is None else (side + left) // self.strides + 1
            for side in sides
        ]
        return (batch, *small, ORDER * self.filters)

    def get_config(self) -> dict[str, Any]:
        """What a saved model makes the layer from."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel": self.side,
            "strides": self.strides,
            "lifts": self.lifts,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("mri_contrast")
class SymmetricNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalisation with one mean and deviation for all orientations."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the statistics of each feature."""
        *outer, channels = input_shape
        assert channels is not None
        super().build((*outer, channels // ORDER))
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: channels})

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns (batch, rows, columns, channels) of the same shape and dtype.

        Statistics are taken of each channel and then joined: summing over an axis of
        few features, as all orientations laid beside each other would leave, is slow.
        """
        features = tf.cast(inputs, tf.float32)
        if training and self.trainable:
            mean, variance = self._joined(features)
            for moving, now in (
                (self.moving_mean, mean),
                (self.moving_variance, variance),
            ):
                moving.assign(moving * self.momentum + now * (1 - self.momentum))
        else:
            mean, variance = self.moving_mean, self.moving_variance
        scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
        offset = self.beta - mean * scale
        normal = features * tf.tile(scale, [ORDER]) + tf.tile(offset, [ORDER])
        return tf.cast(normal, self.compute_dtype)

    def _joined(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance of each feature over batch, places and orientations."""
        means, variances = (
            tf.reshape(each, (ORDER, -1)) for each in tf.nn.moments(features, [0, 1, 2])
        )
        mean = tf.reduce_mean(means, 0)
        return mean, tf.reduce_mean(variances + tf.square(means - mean), 0)


@keras.saving.register_keras_serializable("mri_contrast")
class SymmetricPooling(keras.layers.Layer):  # type: ignore[misc]
    """What is the same for all orientations: each feature's mean and maximum."""

    def call(self, inputs: Any) -> Any:
        """Returns (batch, 2 * features) from (batch, 8 * features)."""
        apart = tf.reshape(inputs, (-1, ORDER, inputs.shape[-1] // ORDER))
        return tf.concat([tf.reduce_mean(apart, 1), tf.reduce_max(apart, 1)], -1)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Of (batch, 8 * features)."""
        channels = input_shape[-1]
        assert channels is not None
        return (input_shape[0], 2 * channels // ORDER)
