"""How long work answers Ctrl+C and SIGTERM, which is how machines press Ctrl+C."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_log = logging.getLogger(__name__)


class Stop:
    """Whether work was told to stop."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Takes the signal: asks to stop the first time, stops at once the second."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        name = signal.Signals(number).name
        _log.warning("%s: saving after this step; once more stops at once", name)


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Lets SIGINT and SIGTERM ask the work within to stop where it can go on later."""
    stop = Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
