"""Counts the calls that are being answered, so that a stop can wait for them."""

import threading


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
