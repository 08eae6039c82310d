"""Servers with one queue, and an autoscaler as Kubernetes' behaves.

One queue stands for a front that asks the server with the fewest calls. A call has a
whole server, as TensorFlow's threads share it out. Calls are never merged: on CPUs a
batch takes as long as its calls one by one (docs/decisions.md): merging adds waiting.
"""

import dataclasses
import heapq
import math
from collections import deque
from typing import Final

import numpy as np

from k8s.capacity.load import Times

TICK: Final = 15.0
"""Seconds between two looks of the autoscaler."""

TOLERANCE: Final = 0.1
"""Of Kubernetes: no change where the ratio of load to target is this near to 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scaler:
    """Rules of an autoscaler by utilisation; k8s/serving/components/hpa has them.

    Attributes:
        least: Servers.
        most: Servers.
        target: Utilisation that it aims at, in (0, 1].
        start: Seconds until a new server answers.
        window: Seconds of which the highest wish counts before a server is taken away.
    """

    least: int
    most: int
    target: float
    start: float = 60.0
    window: float = 300.0

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most or not 0 < self.target <= 1:
            raise ValueError(f"need 1 <= least <= most and 0 < target <= 1, got {self}")


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the calls.

    Attributes:
        waits: Seconds before each began.
        replicas: Seconds, and servers from then on.
        server_seconds: Paid for.
        busy_seconds: Used.
    """

    waits: Times
    replicas: list[tuple[float, int]]
    server_seconds: float
    busy_seconds: float


def simulate(arrivals: Times, services: Times, scaler: Scaler) -> Outcome:
    """Lets calls through, first come first served.

    Args:
        arrivals: Seconds at which they come, ascending.
        services: Seconds that each takes.
        scaler: Of the servers.
    """
    begin = float(arrivals[0])
    free = [begin] * scaler.least
    waits = np.empty(len(arrivals))
    replicas = [(begin, scaler.least)]
    wishes: deque[tuple[float, int]] = deque()
    look, since, busy, total = begin + TICK, 0.0, 0.0, 0.0
    for number, (come, takes) in enumerate(zip(arrivals, services, strict=True)):
        while come >= look:
            # What waits is load, too: the CPU of a server never shows more than all.
            used = min(since / (TICK * len(free)), 1.0)
            _scale(free, look, used, scaler, wishes)
            if len(free) != replicas[-1][1]:
                total += (look - replicas[-1][0]) * replicas[-1][1]
                replicas.append((look, len(free)))
            since, look = 0.0, look + TICK
        earliest = heapq.heappop(free)
        starts = max(come, earliest)
        waits[number] = starts - come
        heapq.heappush(free, starts + takes)
        since += takes
        busy += takes
    total += (max(max(free), arrivals[-1]) - replicas[-1][0]) * replicas[-1][1]
    return Outcome(waits, replicas, float(total), float(busy))


def _scale(
    free: list[float],
    now: float,
    used: float,
    scaler: Scaler,
    wishes: deque[tuple[float, int]],
) -> None:
    """Adds servers that are free once started, or takes away the idlest one."""
    count, ratio = len(free), used / scaler.target
    wish = count if abs(ratio - 1) <= TOLERANCE else math.ceil(count * ratio)
    wish = min(max(wish, scaler.least), scaler.most)
    wishes.append((now, wish))
    while wishes[0][0] < now - scaler.window:
        wishes.popleft()
    if wish > count:
        # At most twice as many, or two more, in 30 s: half of that in a tick.
        for _ in range(min(wish - count, max(count // 2, 1))):
            heapq.heappush(free, now + scaler.start)
    elif max(each for _, each in wishes) < count and free[0] <= now:
        heapq.heappop(free)
