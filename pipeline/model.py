"""The network, built from its hyper-parameters.

model = build(HyperParameters())
outputs = model(slices, training=False)  # (batch, 150, 150, 1) in [0, 1]
outputs["logits"], outputs["plane"], outputs["gadolinium"]
"""

from typing import Any, Final

import keras

from mri_contrast.slices import SIZE
from pipeline.contrasts import CLASSES
from pipeline.hyper import HyperParameters
from pipeline.labelled import PLANES
from pipeline.symmetry import (
    ORDER,
    SymmetricConvolution,
    SymmetricNormalization,
    SymmetricPooling,
)

NORMALISATION_MOMENTUM: Final = 0.9
"""With 0.99 the running statistics lag behind a short training: the validation
accuracy then swings by 20 to 60 points from epoch to epoch."""

HEAD_WIDTH: Final = 32
"""Features that plane and gadolinium are read from: 3 % of the weights, and next to no
time, since they come after the pooling."""


_INITIAL: Final = {
    "he_normal": keras.initializers.HeNormal,
    "glorot_uniform": keras.initializers.GlorotUniform,
}


@keras.saving.register_keras_serializable("mri_contrast")
class SmoothInUse(keras.layers.AveragePooling2D):  # type: ignore[misc]
    """Averages over a box around each pixel, but lets training see slices as they are.

    Real slices are sharper than simulated ones, and a network that never saw such
    detail takes it for something else; smoothed they are as sharp as what it learnt.
    Averaging in training as well would leave the difference where it was.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns (batch, side, side, 1) of the same shape; `inputs` in training."""
        return inputs if training else super().call(inputs)


def build(
    hyper: HyperParameters,
    *,
    seed: int = 0,
    precision: str = "float32",
    channels: int = 1,
    classes: int = len(CLASSES),
) -> keras.Model:
    """Builds the network with fresh weights.

    The first convolution strides over two pixels: at full size it would cost as much
    as all others together. Pooling comes before normalisation, which then touches a
    quarter of the pixels: 1.6 instead of 2.9 ms a slice and step on a CPU core; and
    before the ReLU, which gives the same as after it. What
    the blocks found is averaged over the slice, so that it does not matter where in
    the picture the brain lies.

    Args:
        hyper: Its hyper-parameters.
        seed: Fixes the first weights; nothing global is seeded.
        precision: Keras' dtype policy of all layers but the outputs; the weights are
            float32 under every policy.
        channels: Of a slice; others than 1 serve to compare networks on paper.
        classes: Number of logits; likewise.

    Returns:
        A model from (batch, 150, 150, 1) float32 in [0, 1] to a dictionary: `logits`
        (batch, 4) in the order of `CLASSES` and, with heads, `plane` (batch, 3) in the
        order of `PLANES` and `gadolinium` (batch, 1), logits too. Its only random
        layers are dropouts.
    """
    slices = keras.Input((SIZE, SIZE, channels), name="slices")
    pooled = _pooled(_blocks(slices, hyper, seed, precision), hyper, precision)
    logits = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        dtype="float32",
        name="logits",
    )(_dense(pooled, hyper, seed, precision))
    outputs = {"logits": logits}
    if hyper.heads:
        outputs |= _heads(pooled, seed, precision)
    return keras.Model(slices, outputs, name="mri_contrast")


def _blocks(features: Any, hyper: HyperParameters, seed: int, precision: str) -> Any:
    """Convolution, pooling, normalisation and ReLU, as often as there are filters."""
    if hyper.smooth > 1:
        features = SmoothInUse(
            hyper.smooth, 1, "same", dtype=precision, name="smooth_in_use"
        )(features)
    for number, filters in enumerate(hyper.filters):
        block = _symmetric_block if hyper.symmetric else _block
        features = block(features, hyper, number, filters, seed + number, precision)
        features = keras.layers.ReLU(dtype=precision, name=f"activation_{number}")(
            features
        )
    return features


def _block(
    features: Any,
    hyper: HyperParameters,
    number: int,
    filters: int,
    seed: int,
    precision: str,
) -> Any:
    """Convolution, pooling but in the last block, and normalisation."""
    features = keras.layers.Conv2D(
        filters,
        hyper.kernel if number else hyper.first_kernel,
        strides=1 if number else hyper.first_stride,
        padding="same",
        use_bias=not hyper.normalise,
        kernel_initializer=_INITIAL[hyper.weights](seed),
        dtype=precision,
        name=f"convolution_{number}",
    )(features)
    if number < len(hyper.filters) - 1:
        features = keras.layers.MaxPooling2D(
            2, dtype=precision, name=f"pooling_{number}"
        )(features)
    if not hyper.normalise:
        return features
    return keras.layers.BatchNormalization(
        momentum=NORMALISATION_MOMENTUM,
        dtype=precision,
        name=f"normalisation_{number}",
    )(features)


def _symmetric_block(
    features: Any,
    hyper: HyperParameters,
    number: int,
    filters: int,
    seed: int,
    precision: str,
) -> Any:
    """The same, with answers that turn with the slice."""
    features = SymmetricConvolution(
        filters // ORDER,
        hyper.kernel if number else hyper.first_kernel,
        strides=1 if number else hyper.first_stride,
        lifts=number == 0,
        kernel_initializer=_INITIAL[hyper.weights](seed),
        dtype=precision,
        name=f"convolution_{number}",
    )(features)
    if number < len(hyper.filters) - 1:
        # Boxes of three where the side is odd: of two, the last pixels would go.
        box = 2 + features.shape[1] % 2
        features = keras.layers.MaxPooling2D(
            box, 2, "same", dtype=precision, name=f"pooling_{number}"
        )(features)
    return SymmetricNormalization(
        momentum=NORMALISATION_MOMENTUM,
        dtype=precision,
        name=f"normalisation_{number}",
    )(features)


def _pooled(features: Any, hyper: HyperParameters, precision: str) -> Any:
    """(batch, features): the last block's, pooled or laid out."""
    for number in range(hyper.last_pools):
        features = keras.layers.MaxPooling2D(
            2, dtype=precision, name=f"last_pooling_{number}"
        )(features)
    if hyper.pooling == "flatten":
        return keras.layers.Flatten(dtype=precision, name="flatten")(features)
    average = keras.layers.GlobalAveragePooling2D(dtype=precision, name="average")
    features = average(features)
    if hyper.symmetric:
        join = SymmetricPooling(dtype=precision, name="orientations")
        features = join(features)
    return features


def _dense(features: Any, hyper: HyperParameters, seed: int, precision: str) -> Any:
    """Dense layers, each with its dropout."""
    for number, width in enumerate(hyper.dense):
        drop = keras.layers.Dropout(
            hyper.dropout, seed=seed + number, dtype=precision, name=f"dropout_{number}"
        )
        dense = keras.layers.Dense(
            width,
            "relu",
            kernel_initializer=_INITIAL[hyper.weights](seed + number),
            dtype=precision,
            name=f"dense_{number}",
        )
        features = (
            drop(dense(features)) if hyper.dropout_after else dense(drop(features))
        )
    return features


def _heads(pooled: Any, seed: int, precision: str) -> dict[str, Any]:
    """Logits of plane and gadolinium, from the pooled features (batch, channels)."""
    shared = keras.layers.Dense(
        HEAD_WIDTH,
        "relu",
        kernel_initializer=keras.initializers.HeNormal(seed),
        dtype=precision,
        name="heads",
    )(pooled)
    return {
        name: keras.layers.Dense(
            values,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype="float32",
            name=name,
        )(shared)
        for name, values in (("plane", len(PLANES)), ("gadolinium", 1))
    }
