"""Calls that take too long, or that nobody waits for."""

import grpc
import numpy as np
import pytest

from tests.serving.conformance import ask
from tests.serving.conformance.ask import floats
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.process import until

row = pytest.mark.row

MINUTES = np.array([5_000_000], np.int64)
"""Steps of the slow model; long enough that no test waits for their end."""


@pytest.fixture(scope="module")
def hurried(launcher, library, tmp_path_factory):
    config = write_config(
        tmp_path_factory.mktemp("hurried") / "models.config",
        *(Model(name, library / name) for name in ("slow", "number")),
    )
    return launcher.start(
        f"--model_config_file={config}", "--rest_api_timeout_in_ms=2000"
    )


def ticks(server) -> float:
    """How many steps all calls together have made."""
    return ask.answer(server, "slow", signature="ticks", x=floats(0))[0]


def stands_still(server) -> bool:
    return ticks(server) == ticks(server) == ticks(server)


def begin(server, timeout: float | None):
    """A slow call that has begun."""
    before = ticks(server)
    request = ask.predict("slow", steps=MINUTES)
    call = server.predict.Predict.future(request, timeout=timeout)
    until(lambda: ticks(server) > before, "the slow call begun")
    return call


@row("deadlines.exceeded", "deadlines.stops")
def test_work_stops_at_the_deadline(hurried):
    call = begin(hurried, timeout=3)
    assert call.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: stands_still(hurried), "an end of the work")


@row("deadlines.others", "deadlines.cancelled")
def test_others_are_answered_while_a_call_runs_and_after_it_is_cancelled(hurried):
    call = begin(hurried, timeout=20)
    assert ask.answer(hurried, "number", x=floats(0)) == [3]
    assert not call.done()
    call.cancel()
    assert ask.answer(hurried, "number", x=floats(0)) == [3]
    assert hurried.running()


@row("errors.rest-504", "flags.rest-timeout")
def test_a_rest_call_that_takes_too_long_is_a_504(hurried):
    body = {"inputs": {"steps": MINUTES.tolist()}}
    got = hurried.rest.post("/v1/models/slow:predict", json=body)
    assert got.status_code == 504
    assert set(got.json()) == {"error"}
    until(lambda: stands_still(hurried), "an end of the work")
