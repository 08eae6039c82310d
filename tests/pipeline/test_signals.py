"""Signals to a process that goes on, stops in time, or hangs."""

import signal
import subprocess
import sys

import pytest

WORK = """
import sys, threading
from pipeline.signals import stop_requests
with stop_requests(grace_seconds=0.3) as stop:
    print("ready", flush=True)
    {work}
print("ended", flush=True)
"""

HANGS = "threading.Lock().acquire() and threading.Event().wait()"
HEARS = """
    while not stop.requested:
        threading.Event().wait(0.01)
    stop.heard.set()
    threading.Event().wait(1)  # saving takes longer than the grace
"""


def run(work: str, *numbers: signal.Signals) -> tuple[int, str, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORK.format(work=work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in numbers:
        process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_that_hears_is_given_the_time_it_takes(number: signal.Signals) -> None:
    code, out, errors = run(HEARS, number)
    assert (code, out) == (0, "ended\n"), errors
    assert f"{number.name}: saving after this step" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_that_hangs_is_ended_with_130(number: signal.Signals) -> None:
    code, out, errors = run(HANGS, number)
    assert (code, out) == (130, "")
    assert "goes on from the last checkpoint" in errors


def test_a_second_signal_stops_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WORK.format(work=HANGS).replace("0.3", "3600")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert "SIGINT: saving after this step" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert process.returncode != 0


def test_what_signals_did_before_they_do_again() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    from pipeline.signals import stop_requests

    with stop_requests() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert after == before
