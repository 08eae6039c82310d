"""How an epoch is shared out among the devices that train together."""

import dataclasses
from typing import Final

from pipeline.manifest import Manifest


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """What one of several devices reads: the shards `index`, `index + count`, ….

    Attributes:
        index: Which device, from 0.
        count: Number of devices that train together, on one host or on several.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"index must be in [0, {self.count}), got {self.index}; devices count "
                "from 0"
            )


WHOLE: Final = Share()
"""Of a device that trains alone."""


def steps_per_epoch(manifest: Manifest, batch_size: int, shares: int = 1) -> int:
    """Returns the number of full training batches that every share has in an epoch.

    Which shards a device reads changes from epoch to epoch; counted is the least that
    any choice of them holds.

    Args:
        manifest: Of the shards.
        batch_size: Slices a batch, of one share.
        shares: Number of devices that train together.

    Raises:
        ValueError: There is not a single batch, or there are fewer shards than shares.
    """
    sizes = sorted(shard.records for shard in manifest.of_split("train"))
    sizes = [size for size in sizes if size]
    if len(sizes) < shares:
        raise ValueError(
            f"{shares} devices cannot share {len(sizes)} training shards; build smaller"
            ' ones (make shards ARGS="--shard-megabytes …") or train on fewer devices'
        )
    count = sum(sizes[: len(sizes) // shares])
    if not 1 <= batch_size <= count:
        per_device = " that a device reads" if shares > 1 else ""
        raise ValueError(
            f"batch_size must be from 1 to the {count} training slices{per_device}, "
            f"got {batch_size}; lower it or build shards from more scans"
        )
    return count // batch_size
