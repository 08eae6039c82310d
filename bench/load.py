"""Calls to a server, many in flight at once."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

from bench.timing import Contestant, Turn

IN_FLIGHT: Final = 16

Ask: TypeAlias = Callable[[], None]
"""Makes one call, waits for its answer and reads it; raises where it is none."""


def in_flight(
    connect: Callable[[], Ask], slices: int, calls: int = IN_FLIGHT
) -> Contestant:
    """Makes a contestant that always waits for so many answers.

    Args:
        connect: Makes what a thread asks with, once for each thread.
        slices: In a request.
        calls: How many at once.
    """
    asks = [connect() for _ in range(calls)]

    def turn(seconds: float) -> Turn:
        with ThreadPoolExecutor(calls) as pool:
            _until(pool, asks, seconds / 5)
            start = time.perf_counter()
            took = _until(pool, asks, seconds)
            elapsed = time.perf_counter() - start
        return Turn(len(took) * slices / elapsed, p99=percentile(took, 0.99))

    return turn


def percentile(milliseconds: list[float], share: float) -> float:
    """Returns the least time within which this share of the calls was answered."""
    return sorted(milliseconds)[math.ceil(share * len(milliseconds)) - 1]


def _until(pool: ThreadPoolExecutor, asks: list[Ask], seconds: float) -> list[float]:
    """Asks for so long, once at least; every call that was begun counts, to its end."""
    took: list[float] = []
    failed = threading.Event()  # nobody goes on where one cannot
    end = time.perf_counter() + seconds

    def repeat(ask: Ask) -> None:
        while not failed.is_set():
            start = time.perf_counter()
            try:
                ask()
            except BaseException:
                failed.set()
                raise
            now = time.perf_counter()
            took.append(1000 * (now - start))
            if now >= end:
                return

    for done in [pool.submit(repeat, ask) for ask in asks]:
        done.result()
    return took
