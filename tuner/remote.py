"""A worker's way to the chief: KerasTuner's, made to wait for a chief that restarts."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
import keras_tuner
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_client

from tuner.oracles import without_unused
from tuner.roles import ORACLE_IP, ORACLE_PORT

IDLE_SECONDS: Final = 1.0
"""Between two questions for a trial: KerasTuner asks without a pause."""

BEAT_SECONDS: Final = 5.0
"""Between two signs of life to the chief."""

CHANNEL: Final = (
    # gRPC's two minutes would be a worker's idle time after each restart of the chief.
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A node that dies says no goodbye; without these its peer waits for an hour.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)

_log = logging.getLogger(__name__)


class RemoteOracle(oracle_client.OracleClient):  # type: ignore[misc]
    """The chief's oracle, as a worker sees it."""

    def __init__(self, oracle: keras_tuner.Oracle, seconds: float) -> None:
        """Connects when it is first asked, to where KerasTuner's variables say.

        Args:
            oracle: Built as the chief's; holds what never changes.
            seconds: To wait for a chief that is not there.
        """
        super().__init__(oracle)
        address = f"{os.environ[ORACLE_IP]}:{os.environ[ORACLE_PORT]}"
        channel = grpc.insecure_channel(address, options=CHANNEL)
        patient = grpc.intercept_channel(channel, _Patience(seconds, address))
        self.stub = protos.get_service_grpc().OracleStub(patient)

    def create_trial(self, tuner_id: str) -> Any:
        """Asks for a trial; waits a moment where there is none yet."""
        trial = super().create_trial(tuner_id)
        without_unused(trial)
        if trial.status == "IDLE":
            time.sleep(IDLE_SECONDS)
        return trial

    @contextmanager
    def alive(self, trial_id: str) -> Iterator[None]:
        """Lets the chief know that this worker is at work on a trial."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(BEAT_SECONDS):
                try:
                    self.get_trial(trial_id)
                except (grpc.RpcError, OSError) as error:
                    _log.debug("no sign of life: %s", error)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()


class _Patience(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Repeats calls that a dying chief did not answer, until one does.

    The chief's oracle takes every call twice without harm.
    """

    def __init__(self, seconds: float, address: str) -> None:
        self._seconds, self._address = seconds, address

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], details: Any, request: Any
    ) -> Any:
        end = time.monotonic() + self._seconds
        while True:
            left = max(end - time.monotonic(), 0.1)
            call = continuation(details._replace(timeout=left), request)
            code = call.code()
            if code is grpc.StatusCode.UNAVAILABLE and time.monotonic() < end:
                time.sleep(0.2)
                continue
            if code in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            ):
                raise ChiefGoneError(
                    f"no chief answered at {self._address} for {self._seconds:g} s; "
                    "start it, and this worker again"
                )
            return call


class ChiefGoneError(keras_tuner.errors.FatalError, OSError):  # type: ignore[misc]
    """The chief does not answer; nothing that a trial could be blamed for."""
