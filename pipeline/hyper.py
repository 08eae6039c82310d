"""What a network is made of, and what of it can be built.

One dataclass for the command line, presets, runs and the search.
"""

import dataclasses
from typing import Literal

from mri_contrast.slices import SIZE
from pipeline.symmetry import ORDER


@dataclasses.dataclass(frozen=True, slots=True)
class HyperParameters:
    """What the network is made of.

    Attributes:
        filters: Channels of each block of convolution and pooling.
        kernel: Side of the convolutions after the first, in pixels.
        dense: Widths of the layers between the pooled features and the logits.
        dropout: Share of features dropped at each dense layer, in [0, 1).
        symmetric: The same answer however a slice is turned or mirrored
            (`pipeline.symmetry`); an eighth of `filters` are features then, each in
            eight orientations.
        heads: Tell plane and gadolinium as well, from the pooled features.
        smooth: Side, in pixels, of the box that slices are averaged over before
            anything else, in use and never in training; 1 leaves them as they are.
        first_kernel: Side of the first convolution, in pixels.
        first_stride: Of the first convolution, in pixels.
        normalise: Batch normalisation in each block; without it, convolutions have
            a bias.
        last_pools: 2×2 poolings after the last block, on top of one between blocks.
        pooling: `average` takes each feature's mean over the slice, `flatten` keeps
            every place apart.
        dropout_after: Drop behind each dense layer instead of in front of it.
        weights: What the first weights are drawn from.
    """

    filters: tuple[int, ...] = (16, 32, 48, 64, 96)
    kernel: int = 3
    dense: tuple[int, ...] = (64,)
    dropout: float = 0.2
    symmetric: bool = False
    heads: bool = True
    smooth: int = 3
    first_kernel: int = 5
    first_stride: int = 2
    normalise: bool = True
    last_pools: int = 0
    pooling: Literal["average", "flatten"] = "average"
    dropout_after: bool = False
    weights: Literal["he_normal", "glorot_uniform"] = "he_normal"

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
        if min(self.smooth, self.first_kernel, self.first_stride) < 1:
            raise ValueError(
                f"smooth, first_kernel and first_stride must be at least 1, got "
                f"{self.smooth}, {self.first_kernel} and {self.first_stride}"
            )
        if self.symmetric:
            self._check_symmetric()
        if self.last_pools < 0 or self.side < 1:
            raise ValueError(
                f"{len(self.filters)} blocks, first_stride {self.first_stride} and "
                f"last_pools {self.last_pools} leave no pixel of {SIZE}; take fewer "
                "blocks or pools, or a smaller stride (last_pools from 0)"
            )

    def _check_symmetric(self) -> None:
        odd = [filters for filters in self.filters if filters % ORDER]
        if odd:
            raise ValueError(
                f"a symmetric network has {ORDER} channels for each feature: filters "
                f"must be multiples of {ORDER}, got {self.filters}"
            )
        if not self.normalise or self.pooling != "average" or self.last_pools:
            raise ValueError(
                "a symmetric network needs normalise, pooling average, no last_pools; "
                f"got {self.normalise}, {self.pooling} and {self.last_pools}"
            )
        # Padded by half a kernel, the first one has so many steps to go.
        way = SIZE - self.first_kernel % 2
        if self.kernel % 2 == 0 or way % self.first_stride:
            raise ValueError(
                "a symmetric network treats both ends of a slice alike: kernel must be "
                f"odd, and first_stride divide {SIZE} where first_kernel is even, "
                f"{SIZE - 1} where it is odd; got kernel {self.kernel}, first_kernel "
                f"{self.first_kernel} and first_stride {self.first_stride}"
            )

    @property
    def side(self) -> int:
        """Of the features after the last block, in pixels."""
        pools = len(self.filters) - 1 + self.last_pools
        if not self.symmetric:
            side: int = -(-SIZE // self.first_stride) >> pools
            return side
        side = (SIZE - self.first_kernel % 2) // self.first_stride + 1
        for _ in range(pools):
            side = -(-side // 2)
        return side
