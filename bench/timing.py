"""Throughput of several contestants, taken in turns so that they share the weather.

Of the standard library alone: the peers' interpreter counts by the same code.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

Start: TypeAlias = Callable[[], Iterator[int]]
"""Starts afresh and yields the number of slices of each batch, without end."""


class Turn(NamedTuple):
    """What came of a turn.

    Attributes:
        rate: Slices per second.
        cores: Cores that the process kept busy; None where others worked for it.
        p99: Milliseconds within which 99 of 100 calls were answered; None where
            nothing was called.
    """

    rate: float
    cores: float | None = None
    p99: float | None = None


Contestant: TypeAlias = Callable[[float], Turn]
"""Takes a turn of so many seconds from a fresh start."""


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


@dataclasses.dataclass(frozen=True, slots=True)
class Rates:
    """The turns of each contestant.

    Attributes:
        rounds: By name, in the order of the rounds.
    """

    rounds: Mapping[str, list[Turn]]

    def __getitem__(self, name: str) -> float:
        """Slices per second: the median over the rounds."""
        return statistics.median(turn.rate for turn in self.rounds[name])

    def cores(self, name: str) -> float:
        """Cores kept busy: the median over the rounds in which it is known."""
        known = [turn.cores for turn in self.rounds[name] if turn.cores is not None]
        return statistics.median(known)

    def p99(self, name: str) -> float:
        """Milliseconds, 99 of 100 calls: the median over the rounds that have calls."""
        known = [turn.p99 for turn in self.rounds[name] if turn.p99 is not None]
        return statistics.median(known)

    def ratio(self, name: str, other: str) -> float:
        """The median over the rounds of one rate divided by the other.

        Both were taken within seconds of each other, so that a change of the machine's
        speed from round to round falls out; in the ratio of two medians it does not.
        """
        pairs = zip(self.rounds[name], self.rounds[other], strict=True)
        return statistics.median(one.rate / two.rate for one, two in pairs)


def here(start: Start) -> Contestant:
    """Makes a contestant of this process."""
    return lambda seconds: take_turn(start, seconds)


def side_by_side(contestants: Mapping[str, Contestant], effort: Effort) -> Rates:
    """Measures slices per second.

    Every round gives each contestant a turn, every second one in the opposite order,
    so that none always follows the same one. Another program that disturbs a round is
    voted out by the median.

    Args:
        contestants: What to measure.
        effort: How long, and how often.
    """
    rounds: dict[str, list[Turn]] = {name: [] for name in contestants}
    for number in range(effort.repeats):
        names = list(contestants)
        for name in names if number % 2 == 0 else reversed(names):
            rounds[name].append(contestants[name](effort.seconds))
    return Rates(rounds)


def take_turn(start: Start, seconds: float) -> Turn:
    """Starts afresh, warms up for a fifth of the time, then counts."""
    batches = start()
    _count(batches, seconds / 5)
    used = time.process_time()
    slices, elapsed = _count(batches, seconds)
    return Turn(slices / elapsed, (time.process_time() - used) / elapsed)


def _count(batches: Iterator[int], seconds: float) -> tuple[int, float]:
    """Consumes whole batches for at least `seconds`."""
    slices = 0
    start = time.perf_counter()
    while True:
        slices += next(batches)
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return slices, elapsed
