"""What a network of a search may cost: its parameters, and the time of a slice."""

import dataclasses
import itertools
from typing import Final

from pipeline.contrasts import CLASSES
from pipeline.hyper import HyperParameters
from pipeline.labelled import PLANES
from pipeline.model import HEAD_WIDTH
from pipeline.symmetry import ORDER
from tuner.space import FAMILIES, Space

MOST_REJECTED: Final = 100
"""Proposals over budget in a row that end a search: where one network in twenty meets
the budget, one search in 170 would end without need."""


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """The most that a network may cost; None where it does not matter.

    Attributes:
        parameters: Of the network.
        milliseconds: A slice in use, 24 at a time.
    """

    parameters: int | None = None
    milliseconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("parameters", "milliseconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")

    def exceeded_by(
        self, parameters: int | None = None, milliseconds: float | None = None
    ) -> str:
        """Says by what a network is over budget; nothing where it is not.

        What is not known yet, None, is within every budget.
        """
        if parameters and self.parameters and parameters > self.parameters:
            return f"{parameters} parameters, the budget is {self.parameters}"
        if milliseconds and self.milliseconds and milliseconds > self.milliseconds:
            return f"{milliseconds:.3g} ms a slice, the budget is {self.milliseconds:g}"
        return ""


def parameters_of(hyper: HyperParameters) -> int:
    """Counts what `pipeline.model.build` would: nothing is built for it."""
    shared = ORDER if hyper.symmetric else 1  # channels that one filter is turned into
    total, channels = 0, 1
    for index, filters in enumerate(hyper.filters):
        kernel = hyper.kernel if index else hyper.first_kernel
        total += kernel**2 * channels * filters // shared
        # Of a normalisation scale, offset, mean and variance; else a bias.
        total += filters // shared * (4 if hyper.normalise else 1)
        channels = filters
    features = channels * (hyper.side**2 if hyper.pooling == "flatten" else 1)
    if hyper.symmetric:  # mean and maximum over the orientations
        features = 2 * channels // ORDER
    if hyper.heads:
        said = len(PLANES) + 1  # and gadolinium
        total += (features + 1) * HEAD_WIDTH + (HEAD_WIDTH + 1) * said
    for width in (*hyper.dense, len(CLASSES)):
        total += (features + 1) * width
        features = width
    return total


def smallest(base: HyperParameters, within: Space) -> HyperParameters:
    """Returns the network of a space with the fewest parameters.

    Args:
        base: What is not searched.
        within: The space.
    """
    least = {name: int(min(values)) for name, values in within.items()}
    return min(
        (
            dataclasses.replace(
                base,
                kernel=least["kernel"],
                filters=tuple(least[name] for name in FAMILIES["filters"][:blocks]),
                dense=tuple(least[name] for name in FAMILIES["width"][:layers]),
            )
            for blocks, layers in itertools.product(
                map(int, within["blocks"]), map(int, within["dense_layers"])
            )
        ),
        key=parameters_of,
    )
