"""How long work answers SIGTERM, which is how machines press Ctrl+C."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stoppable() -> Iterator[None]:
    """Makes SIGTERM stop what runs within as Ctrl+C does."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with _on_sigterm(stop):
        yield


@contextmanager
def unstoppable() -> Iterator[None]:
    """Holds SIGTERM off, for seconds of work that must not be left half done."""
    with _on_sigterm(signal.SIG_IGN):
        yield


@contextmanager
def _on_sigterm(
    action: Callable[[int, object], None] | signal.Handlers,
) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, action)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
