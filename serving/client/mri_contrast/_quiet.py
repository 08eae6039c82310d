"""Keeps the formats' libraries silent: their logs and warnings quote headers."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator

_LIBRARIES = ("PIL", "nibabel", "pydicom")
_LOCK = threading.Lock()
_undo = contextlib.ExitStack()
_inside = 0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences the libraries while any thread is inside.

    Both switches are the whole process's: the first to come turns them off, the last
    to leave turns them on again, so that threads read side by side.
    """
    global _inside
    with _LOCK:
        if not _inside:
            _silence()
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if not _inside:
                _undo.close()


def _silence() -> None:
    _undo.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for name in _LIBRARIES:  # their modules' loggers take the level from these
        log = logging.getLogger(name)
        _undo.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL + 1)
