"""What is searched, and which training a point of it stands for.

The default is the training that `python -m pipeline.train` does without options. What
is not searched is taken from the training that a search begins with: from the study's
presets, the study's networks are points.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import keras_tuner

from pipeline.augment import STRENGTHS, AugmentConfig
from pipeline.hyper import HyperParameters
from pipeline.settings import TrainConfig

Space: TypeAlias = Mapping[str, tuple[float, ...]]
"""What each hyper-parameter may be: the values, or of `RANGES` the two limits."""

RANGES: Final = ("learning_rate", "weight_decay")
"""Drawn from everything between two limits, on a logarithmic scale."""

_FILTERS: Final = tuple(f"filters_{index}" for index in range(6))
_WIDTHS: Final = tuple(f"width_{index}" for index in range(4))

FAMILIES: Final = {"filters": _FILTERS, "width": _WIDTHS}
"""One name for the sizes of all blocks or of all dense layers."""

SPACE: Final[Space] = {
    "kernel": (2, 3, 5),
    "blocks": (2, 3, 4, 5, 6),
    **dict.fromkeys(_FILTERS, (16, 32, 48, 64, 96, 128)),
    "dense_layers": (0, 1, 2, 3, 4),
    **dict.fromkeys(_WIDTHS, (32, 64, 128, 256, 512)),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "learning_rate": (3e-4, 1e-2),
    "weight_decay": (1e-5, 1e-1),
    # Times the strengths of `AugmentConfig`; at 1.67 a share would pass 1.
    "augmentation": (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5),
}


def narrow(words: Sequence[str]) -> Space:
    """Returns the part of `SPACE` that a user asks for.

    Args:
        words: Each `name=value` or `name=value,value`, by the names of `SPACE` or
            `FAMILIES`: the values that stay, or of `RANGES` one value or two limits.

    Raises:
        ValueError: A word is none of these, or nothing is left to search.
    """
    left = dict(SPACE)
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ValueError(
                f"--narrow takes name=value or name=value,value; got {word!r}"
            )
        if name not in {*SPACE, *FAMILIES}:
            raise ValueError(
                f"nothing that is searched is called {name!r}; there are "
                f"{', '.join([*SPACE, *FAMILIES])}"
            )
        for each in FAMILIES.get(name, (name,)):
            left[each] = _part(each, text)
    if all(
        isinstance(each, keras_tuner.engine.hyperparameters.Fixed)
        for each in space(left).space
    ):
        raise ValueError(
            f"--narrow {' '.join(words)} leaves a single network, so there is nothing "
            "to search; leave a hyper-parameter more than one value"
        )
    return left


def _part(name: str, text: str) -> tuple[float, ...]:
    """Returns the values that a user leaves a hyper-parameter, in their order."""
    allowed = SPACE[name]
    kind = type(allowed[0])
    try:
        values = sorted({kind(word) for word in text.split(",")})
    except ValueError:
        values = []
    if name in RANGES:
        low, high = allowed
        fits = len(values) in (1, 2) and low <= values[0] and values[-1] <= high
        told = f"one number or two limits from {low:g} to {high:g}"
    else:
        fits = bool(values) and set(values) <= set(allowed)
        told = f"one or more of {','.join(f'{value:g}' for value in allowed)}"
    if not fits:
        raise ValueError(f"{name} can be narrowed to {told}; got {text!r}")
    return tuple(values)


def space(within: Space = SPACE) -> keras_tuner.HyperParameters:
    """Returns everything that is searched, at its defaults."""
    hp = keras_tuner.HyperParameters()
    configure(hp, TrainConfig(), within)
    return hp


def configure(
    hp: keras_tuner.HyperParameters, base: TrainConfig, within: Space = SPACE
) -> TrainConfig:
    """Returns `base` with what is searched taken from a point of the space.

    What `hp` does not know yet is declared on the way, so that the space is described
    in this one place.

    Args:
        hp: The point, for example that of a trial.
        base: Everything that is not searched: shards, run folder, epochs, seed, of the
            network strides, normalisation and pooling, of augmentation what strengths
            are multiplied with.
        within: What `hp` was drawn from.
    """
    default = TrainConfig()
    return dataclasses.replace(
        base,
        hyper=_network(hp, base.hyper, within),
        learning_rate=_choose(hp, "learning_rate", within, default.learning_rate),
        weight_decay=_choose(hp, "weight_decay", within, default.weight_decay),
        augment=scaled(base.augment, _choose(hp, "augmentation", within, 1.0)),
    )


def scaled(augment: AugmentConfig, factor: float) -> AugmentConfig:
    """Returns an augmentation of the same kind, `factor` times as strong."""
    changed = {name: getattr(augment, name) * factor for name in STRENGTHS}
    return dataclasses.replace(augment, **changed)


def _network(
    hp: keras_tuner.HyperParameters, base: HyperParameters, within: Space
) -> HyperParameters:
    default = HyperParameters()
    kernel = _choose(hp, "kernel", within, default.kernel)
    filters = _layers(hp, "blocks", _FILTERS, within, default.filters)
    dense = _layers(hp, "dense_layers", _WIDTHS, within, default.dense)
    # Dropout comes before dense layers: without one, its value would mean nothing.
    dropout = None
    if some := [count for count in within["dense_layers"] if count > 0]:
        with hp.conditional_scope("dense_layers", some):
            dropout = _choose(hp, "dropout", within, default.dropout)
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
    size_names: tuple[str, ...],
    within: Space,
    default: tuple[int, ...],
) -> tuple[int, ...]:
    """A number of layers and the size of each; a layer that is not there has none.

    A size is declared in the scope of the counts that use it, or else two trials could
    differ in nothing but a layer that neither has.
    """
    counts = within[count_name]
    count = _choose(hp, count_name, within, len(default))
    chosen = []
    for index, name in enumerate(size_names[: int(max(counts))]):
        usual = default[min(index, len(default) - 1)]
        with hp.conditional_scope(count_name, [n for n in counts if n > index]):
            size = _choose(hp, name, within, usual)
        if index < count:
            chosen.append(size)
    return tuple(chosen)


def _choose(
    hp: keras_tuner.HyperParameters, name: str, within: Space, default: float
) -> Any:
    """The value of a hyper-parameter at this point; None where it is not in use."""
    values = within[name]
    if len(values) == 1:
        return hp.Fixed(name, values[0])
    if name in RANGES:
        low, high = values
        usual = min(max(default, low), high)
        return hp.Float(name, low, high, sampling="log", default=usual)
    usual = default if default in values else values[0]
    return hp.Choice(name, values, default=usual)
