"""What a family of protocols is: how often it is drawn and how its signal is made."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.physics import BLOOD, TissueValues


@dataclasses.dataclass(frozen=True, slots=True)
class Draw:
    """What a family's function gets to make its signal from."""

    rng: np.random.Generator
    tissues: TissueValues
    three_tesla: bool

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return float(self.rng.uniform(low, high))

    def flowing(
        self, signal: NDArray[np.float64], low: float, high: float
    ) -> NDArray[np.float64]:
        """Blood leaves a spin echo's slice unrefocused, and enters others fresh."""
        signal[BLOOD] *= self.uniform(low, high)
        return signal


Signal = Callable[[Draw], NDArray[np.float64]]


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """How often a sequence is drawn within its class and what it looks like.

    Attributes:
        share: Relative to the other families of its class.
        signal: Makes the signed signal of each tissue.
        volumetric: Probability of isotropic voxels.
        gadolinium: Probability of contrast agent.
        fat_saturation: Probability of suppressed fat.
        blur_mm: Lowest and highest loss of sharpness (full width at half maximum).
        fat_by_density: Whether fat shines by its proton density, gain included; maps,
            CT and the like set it outright.
        effects: What is done to the image (`pipeline.phantom.effects`); one is drawn.
    """

    share: float
    signal: Signal
    volumetric: float
    gadolinium: float = 0.0
    fat_saturation: float = 0.0
    blur_mm: tuple[float, float] = (0.0, 0.8)
    fat_by_density: bool = True
    effects: tuple[str, ...] = ("",)
