"""The network, built from its hyper-parameters.

model = build(HyperParameters())
outputs = model(slices, training=False)  # (batch, 150, 150, 1) in [0, 1]
outputs["logits"], outputs["plane"], outputs["gadolinium"]
"""

import dataclasses
from typing import Any, Final

import keras

from mri_contrast.slices import SIZE
from pipeline.contrasts import CLASSES
from pipeline.labelled import PLANES

NORMALISATION_MOMENTUM: Final = 0.9
"""With 0.99 the running statistics lag behind a short training: the validation
accuracy then swings by 20 to 60 points from epoch to epoch."""

HEAD_WIDTH: Final = 32
"""Features that plane and gadolinium are read from: 3 % of the weights, and next to no
time, since they come after the pooling."""


@dataclasses.dataclass(frozen=True, slots=True)
class HyperParameters:
    """What the network is made of.

    Attributes:
        filters: Channels of each block of convolution and pooling.
        kernel: Side of the convolutions after the first, in pixels.
        dense: Widths of the layers between the pooled features and the logits.
        dropout: Share of features dropped before each dense layer, in [0, 1).
        heads: Tell plane and gadolinium as well, from the pooled features.
    """

    filters: tuple[int, ...] = (16, 32, 48, 64, 96)
    kernel: int = 3
    dense: tuple[int, ...] = (64,)
    dropout: float = 0.2
    heads: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.filters) <= 6:
            raise ValueError(
                f"filters must name 1 to 6 blocks (150 pixels halve no further), got "
                f"{len(self.filters)}"
            )
        if min(*self.filters, *self.dense, self.kernel) < 1:
            raise ValueError(
                f"filters, dense and kernel must be at least 1, got {self.filters}, "
                f"{self.dense} and {self.kernel}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")


def build(
    hyper: HyperParameters, *, seed: int = 0, precision: str = "float32"
) -> keras.Model:
    """Builds the network with fresh weights.

    The first convolution strides over two pixels: at full size it would cost as much
    as all others together. Pooling comes before normalisation, which then touches a
    quarter of the pixels: 1.6 instead of 2.9 ms a slice and step on a CPU core. What
    the blocks found is averaged over the slice, so that it does not matter where in
    the picture the brain lies.

    Args:
        hyper: Its hyper-parameters.
        seed: Fixes the first weights; nothing global is seeded.
        precision: Keras' dtype policy of all layers but the outputs; the weights are
            float32 under every policy.

    Returns:
        A model from (batch, 150, 150, 1) float32 in [0, 1] to a dictionary: `logits`
        (batch, 4) in the order of `CLASSES` and, with heads, `plane` (batch, 3) in the
        order of `PLANES` and `gadolinium` (batch, 1), logits too. Its only random
        layers are dropouts.
    """
    slices = keras.Input((SIZE, SIZE, 1), name="slices")
    features = slices
    for number, filters in enumerate(hyper.filters):
        first = number == 0
        features = keras.layers.Conv2D(
            filters,
            5 if first else hyper.kernel,
            strides=2 if first else 1,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed + number),
            dtype=precision,
            name=f"convolution_{number}",
        )(features)
        if number < len(hyper.filters) - 1:
            features = keras.layers.MaxPooling2D(
                2, dtype=precision, name=f"pooling_{number}"
            )(features)
        features = keras.layers.BatchNormalization(
            momentum=NORMALISATION_MOMENTUM,
            dtype=precision,
            name=f"normalisation_{number}",
        )(features)
        features = keras.layers.ReLU(dtype=precision, name=f"activation_{number}")(
            features
        )
    pooled = keras.layers.GlobalAveragePooling2D(dtype=precision, name="average")(
        features
    )
    features = pooled
    for number, width in enumerate(hyper.dense):
        features = keras.layers.Dropout(
            hyper.dropout, seed=seed + number, dtype=precision, name=f"dropout_{number}"
        )(features)
        features = keras.layers.Dense(
            width,
            "relu",
            kernel_initializer=keras.initializers.HeNormal(seed + number),
            dtype=precision,
            name=f"dense_{number}",
        )(features)
    logits = keras.layers.Dense(
        len(CLASSES),
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        dtype="float32",
        name="logits",
    )(features)
    outputs = {"logits": logits}
    if hyper.heads:
        outputs |= _heads(pooled, seed, precision)
    return keras.Model(slices, outputs, name="mri_contrast")


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
