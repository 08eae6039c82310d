"""When scans come: uploads a day, by the hour, with bursts; and how long each takes."""

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

HOUR: Final = 3600.0

Times = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """A day of uploads.

    Attributes:
        scans: A day.
        swing: How far the hours differ: 0 is all alike, 1 is none at night. With 0.8
            the busiest hour has 1.8 times the mean: people of one continent.
        busiest: Hour of the day with the most uploads.
        burst: Times as many during ten minutes in that hour: somebody's archive.
    """

    scans: float
    swing: float = 0.8
    busiest: float = 11.0
    burst: float = 1.0

    def __post_init__(self) -> None:
        if self.scans <= 0 or not 0 <= self.swing <= 1 or self.burst < 1:
            raise ValueError(
                f"scans must be above 0, swing in 0–1, burst at least 1; got {self}"
            )

    def rate(self, seconds: Times) -> Times:
        """Scans a second at these seconds of the day."""
        phase = 2 * np.pi * (seconds / HOUR - self.busiest) / 24
        rate = self.scans / (24 * HOUR) * (1 + self.swing * np.cos(phase))
        since = seconds - self.busiest * HOUR
        return np.where((since >= 0) & (since < 600), self.burst * rate, rate)

    def arrivals(self, begin: float, end: float, rng: np.random.Generator) -> Times:
        """Draws when scans come between two hours, in seconds of the day, ascending.

        A Poisson process thinned from the highest rate (Lewis and Shedler, 1979).
        """
        most = self.burst * self.scans / (24 * HOUR) * (1 + self.swing)
        seconds = (end - begin) * HOUR
        count = rng.poisson(most * seconds)
        times = np.sort(rng.uniform(begin * HOUR, end * HOUR, count))
        return times[rng.uniform(0, most, count) < self.rate(times)]
