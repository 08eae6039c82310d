"""Starts another program of ours, passes a stop on and ends with it."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from types import FrameType

from pipeline.command import INTERRUPTED


def run_apart(
    *words: object,
    given: bytes = b"",
    environment: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> int:
    """Runs `python -m` with some words in another process; returns its exit code.

    A training apart leaves no compiled step, memory or random state to the next one.
    Ctrl+C and SIGTERM are passed on once each, and the program saves where it stands.
    Its input is held open until it ends: one that watches it ends by itself where this
    process does.

    Args:
        words: The module and its arguments.
        given: What it reads first.
        environment: Variables besides this process's own.
        quiet: Leave out what it prints; its log stays.

    Returns:
        Its exit code; 130 where it was told to stop, whatever it gave.
    """
    told = False
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL if quiet else None,
        env={**os.environ, **(environment or {})},
        start_new_session=True,  # a terminal's Ctrl+C would reach it a second time
    )
    assert process.stdin is not None

    def tell(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        process.send_signal(signal.SIGTERM)

    before = {
        number: signal.signal(number, tell)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        process.stdin.write(given)
        process.stdin.flush()
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        process.stdin.close()
    return INTERRUPTED if told else code


def end_with_parent() -> None:
    """Ends this process as by `kill -9` once its input is closed.

    `run_apart` holds the input open, so a program that calls this outlives its parent
    by no more than a moment, however the parent ends.
    """

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def must_run(*words: object) -> None:
    """Runs `python -m` with some words in another process, as `run_apart` does.

    Raises:
        KeyboardInterrupt: It was told to stop.
        ValueError: It failed; it has said why.
    """
    code = run_apart(*words)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        command = shlex.join(["python", "-m", *map(str, words)])
        raise ValueError(
            f"`{command}` failed with code {code}, as said above; the same command as "
            "now tries it again, what is finished is kept"
        )
