"""Throughput of several contestants, taken in turns so that they share the weather."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

Contestant = Callable[[], Iterator[int]]
"""Starts afresh and yields the number of slices of each batch, without end."""


@dataclasses.dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        seconds: Counted time for each contestant and round.
        repeats: Number of rounds.
    """

    seconds: float
    repeats: int

    def __str__(self) -> str:
        return f"median of {self.repeats} rounds of {self.seconds:g} s in turns"


def side_by_side(
    contestants: Mapping[str, Contestant], effort: Effort
) -> dict[str, float]:
    """Measures slices per second.

    Every round starts each contestant afresh, lets it warm up for a fifth of the time
    and counts for the rest. Another program that disturbs a round disturbs all of them
    and is voted out by the median.

    Args:
        contestants: What to measure.
        effort: How long, and how often.

    Returns:
        The median over the rounds, for each contestant.
    """
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(effort.repeats):
        for name, start in contestants.items():
            batches = start()
            _count(batches, effort.seconds / 5)
            slices, elapsed = _count(batches, effort.seconds)
            rates[name].append(slices / elapsed)
    return {name: statistics.median(found) for name, found in rates.items()}


def _count(batches: Iterator[int], seconds: float) -> tuple[int, float]:
    """Consumes whole batches for at least `seconds`."""
    slices = 0
    start = time.perf_counter()
    while True:
        slices += next(batches)
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return slices, elapsed
