"""Counts the calls that are being answered, so that a stop can wait for them."""

import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any


class CallsInFlight:
    """A context for each call; any number of them at once."""

    def __init__(self) -> None:
        self._count = 0
        self._none = threading.Condition()

    def __enter__(self) -> None:
        with self._none:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._none:
            self._count -= 1
            if not self._count:
                self._none.notify_all()

    def wait_until_none(self, seconds: float) -> bool:
        """Waits until no call is in flight; returns whether that came to pass."""
        with self._none:
            return self._none.wait_for(lambda: not self._count, seconds)


class CountingPool(futures.ThreadPoolExecutor):
    """Threads whose work counts as in flight from when it is queued for them."""

    def __init__(self, threads: int, calls: CallsInFlight) -> None:
        super().__init__(threads, "grpc")
        self._calls = calls

    def submit(
        self, work: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> futures.Future[Any]:
        """Queues work for a thread."""
        self._calls.__enter__()
        try:
            future = super().submit(work, *args, **kwargs)
        except BaseException:
            self._calls.__exit__()
            raise
        future.add_done_callback(self._calls.__exit__)
        return future
