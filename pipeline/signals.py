"""How long work answers Ctrl+C and SIGTERM, which is how machines press Ctrl+C."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from pipeline.command import INTERRUPTED

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


class Stop:
    """Whether work was told to stop, and whether it has heard."""

    def __init__(self) -> None:
        self.requested = False
        self.heard = threading.Event()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Takes the signal: asks to stop the first time, stops at once the second."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        name = signal.Signals(number).name
        _log.warning("%s: saving after this step; once more stops at once", name)


@contextmanager
def stop_requests(grace_seconds: float = 20.0) -> Iterator[Stop]:
    """Lets SIGINT and SIGTERM ask the work within to stop where it can go on later.

    Python hears no signal while TensorFlow waits, as for a host that has died. A
    thread does, and ends the process with code 130 where the work has not set `heard`
    in time: nothing is lost but what no checkpoint holds.

    Args:
        grace_seconds: Below the 30 s after which Kubernetes kills.
    """
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in _NUMBERS}
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    waking = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watch = threading.Thread(
        target=_watch, args=(reading, stop, grace_seconds), daemon=True
    )
    watch.start()
    try:
        yield stop
    finally:
        stop.heard.set()
        signal.set_wakeup_fd(waking)
        os.close(writing)  # ends the thread
        watch.join()
        os.close(reading)
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(reading: int, stop: Stop, grace_seconds: float) -> None:
    while number := os.read(reading, 1):
        if number[0] in _NUMBERS and not stop.heard.wait(grace_seconds):
            _log.error(
                "told to stop %g s ago and still waiting, perhaps for another host: "
                "stopped without saving; the same command goes on from the last "
                "checkpoint",
                grace_seconds,
            )
            os._exit(INTERRUPTED)
