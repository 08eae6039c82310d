"""The chief of a search: gives trials to workers that ask, and ends when all is done.

KerasTuner's own server waits forever for a worker that is gone.
"""

import logging
import os
import time
from collections.abc import Callable
from concurrent import futures
from typing import Final

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from tuner.oracles import Lasting
from tuner.remote import IDLE_SECONDS
from tuner.roles import ORACLE_IP, ORACLE_PORT

_LOOK_SECONDS: Final = 0.5
_LAST_WORD_SECONDS: Final = 10.0
"""That a chief which was killed after the last trial waits for workers that have not
heard of the end."""

_OPTIONS: Final = (
    # Or a second chief could listen at the same port, and get some of the calls.
    ("grpc.so_reuseport", 0),
    # Workers ping every 30 s, which gRPC would take for an attack.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)

_log = logging.getLogger(__name__)


def serve(oracle: Lasting, wait_seconds: float, look: Callable[[], None]) -> None:
    """Gives trials to workers until the search ends.

    Args:
        oracle: Proposes the trials.
        wait_seconds: After which a worker that was not heard of is gone: its trial goes
            to another.
        look: Called now and then.

    Raises:
        OSError: The port is taken, or what was learnt could not be saved.
        TimeoutError: No worker was heard of for `wait_seconds`.
    """
    server = grpc.server(futures.ThreadPoolExecutor(1), options=_OPTIONS)
    servicer = OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    address = f"{os.environ[ORACLE_IP]}:{os.environ[ORACLE_PORT]}"
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(
            f"the chief cannot listen at {address}; another program does, or the "
            f"address is none of this machine ({ORACLE_IP}, {ORACLE_PORT})"
        ) from error
    server.start()
    _log.info("chief: waiting for workers at %s", address)
    try:
        _wait(oracle, servicer, wait_seconds, look)
        look()
    finally:
        # Calls that are under way get their answer.
        server.stop(grace=IDLE_SECONDS).wait()


def _wait(
    oracle: Lasting,
    servicer: OracleServicer,
    wait_seconds: float,
    look: Callable[[], None],
) -> None:
    """Returns when all workers were told that nothing is left."""
    last = time.monotonic()
    if ended := oracle.ended:
        wait_seconds = min(wait_seconds, _LAST_WORD_SECONDS)
    while not (
        servicer.stop_triggered and not oracle.tuner_ids and not oracle.ongoing_trials
    ):
        time.sleep(_LOOK_SECONDS)
        if oracle.broken is not None:
            raise OSError(
                f"the chief could not go on ({oracle.broken}); what was saved is kept, "
                "start it again when that is mended"
            ) from oracle.broken
        for name in oracle.release_lost(wait_seconds):
            _log.warning(
                "%s was not heard of for %g s: its trial goes to another",
                *(name, wait_seconds),
            )
        look()
        if oracle.tuner_ids:
            last = time.monotonic()
        elif time.monotonic() - last > wait_seconds and not servicer.stop_triggered:
            if ended:
                return
            raise TimeoutError(
                f"no worker was heard of for {wait_seconds:g} s; start workers, and "
                "the chief again: the search goes on"
            )
