"""What is searched, and which training a point of it stands for.

The default is the training that `python -m pipeline.train` does without options. What
is not searched is taken from the training that a search begins with: from the study's
presets, the study's networks are points.
"""

import dataclasses
from typing import Final

import keras_tuner

from pipeline.model import HyperParameters
from pipeline.train import TrainConfig

BLOCKS: Final = (2, 3, 4, 5, 6)
FILTERS: Final = (16, 32, 48, 64, 96, 128)
KERNELS: Final = (2, 3, 5)
DENSE_LAYERS: Final = (0, 1, 2, 3, 4)
WIDTHS: Final = (32, 64, 128, 256, 512)
DROPOUTS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
LEARNING_RATE: Final = (3e-4, 1e-2)
WEIGHT_DECAY: Final = (1e-5, 1e-1)


def space() -> keras_tuner.HyperParameters:
    """Returns everything that is searched, at its defaults."""
    hp = keras_tuner.HyperParameters()
    configure(hp, TrainConfig())
    return hp


def configure(hp: keras_tuner.HyperParameters, base: TrainConfig) -> TrainConfig:
    """Returns `base` with what is searched taken from a point of the space.

    What `hp` does not know yet is declared on the way, so that the space is described
    in this one place.

    Args:
        hp: The point, for example that of a trial.
        base: Everything that is not searched: shards, run folder, epochs, seed, and
            of the network strides, normalisation and pooling.
    """
    return dataclasses.replace(
        base,
        hyper=_network(hp, base.hyper),
        learning_rate=_between(hp, "learning_rate", LEARNING_RATE),
        weight_decay=_between(hp, "weight_decay", WEIGHT_DECAY),
    )


def _network(hp: keras_tuner.HyperParameters, base: HyperParameters) -> HyperParameters:
    default = HyperParameters()
    kernel = hp.Choice("kernel", KERNELS, default=default.kernel)
    filters = _layers(hp, "blocks", BLOCKS, "filters", FILTERS, default.filters)
    dense = _layers(hp, "dense_layers", DENSE_LAYERS, "width", WIDTHS, default.dense)
    # Dropout comes before dense layers: without one, its value would mean nothing.
    with hp.conditional_scope("dense_layers", [n for n in DENSE_LAYERS if n > 0]):
        dropout = hp.Choice("dropout", DROPOUTS, default=default.dropout)
    return dataclasses.replace(
        base,
        filters=filters,
        kernel=kernel,
        dense=dense,
        dropout=default.dropout if dropout is None else dropout,
    )


def _layers(
    hp: keras_tuner.HyperParameters,
    count_name: str,
    counts: tuple[int, ...],
    size_name: str,
    sizes: tuple[int, ...],
    default: tuple[int, ...],
) -> tuple[int, ...]:
    """A number of layers and the size of each; a layer that is not there has none.

    A size is declared in the scope of the counts that use it, or else two trials could
    differ in nothing but a layer that neither has.
    """
    count = hp.Choice(count_name, counts, default=len(default))
    chosen = []
    for index in range(max(counts)):
        with hp.conditional_scope(count_name, [n for n in counts if n > index]):
            usual = default[min(index, len(default) - 1)]
            size = hp.Choice(f"{size_name}_{index}", sizes, default=usual)
        if index < count:
            chosen.append(size)
    return tuple(chosen)


def _between(
    hp: keras_tuner.HyperParameters, name: str, limits: tuple[float, float]
) -> float:
    """A field of `TrainConfig` between two limits, on a logarithmic scale."""
    low, high = limits
    default = getattr(TrainConfig(), name)
    value: float = hp.Float(name, low, high, sampling="log", default=default)
    return value
