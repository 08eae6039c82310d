"""Starts a job in a process of its own, passes a stop on and ends with it."""

import pickle
import signal
import subprocess
import sys
from types import FrameType

from pipeline.command import INTERRUPTED
from pipeline.experiments.job import Job


def run_apart(job: Job) -> int:
    """Works a job off in another process; returns its exit code.

    A training apart leaves no compiled step, memory or random state to the next one.
    Ctrl+C and SIGTERM are passed on once each, and the training saves where it stands.
    Its input is held open until it ends: it ends by itself where this process does.
    """
    told = False
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.experiments.job"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # the networks' summaries, which runs hold
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
        process.stdin.write(pickle.dumps(job))
        process.stdin.flush()
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        process.stdin.close()
    return INTERRUPTED if told else code
