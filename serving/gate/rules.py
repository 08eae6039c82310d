"""What the gate allows."""

import dataclasses
import os
from pathlib import Path
from typing import Final


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What the gate measures on, and what it lets through.

    Attributes:
        real: Labelled real scans, as `make evaluate` takes them; the environment's
            MRI_REAL_DATA if not given.
        allow_unmeasured: Publish although there are no real scans to measure on, or
            the shards of the run are gone.
        max_bytes: The largest version. Every node pulls it with the image, and every
            start reads it; our networks take 2 MB, the largest of the study 90.
        max_ratio: The longest time per slice, in times that of stable. Generous: what
            counts is seconds a scan, and machines are never quiet.
        override: Why to publish a version that is worse, slower, larger or of another
            interface than allowed. The reason goes to the history and the model card;
            what would answer wrongly is refused all the same.
    """

    real: Path | None = None
    allow_unmeasured: bool = False
    max_bytes: int = 100_000_000
    max_ratio: float = 2.0
    override: str = ""

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, got {self.max_bytes}")
        if not self.max_ratio > 0:
            raise ValueError(f"max_ratio must be above 0, got {self.max_ratio}")

    @property
    def scans(self) -> Path | None:
        """Real scans; None where there are none."""
        named = self.real or os.environ.get("MRI_REAL_DATA")
        return Path(named) if named else None


DEFAULT: Final = Rules()
