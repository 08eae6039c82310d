"""Chief and worker over a real connection; nothing is trained."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from pipeline.settings import TrainConfig
from tuner import chief
from tuner.oracles import OBJECTIVE, REJECTED, Lasting
from tuner.remote import ChiefGoneError, RemoteOracle
from tuner.roles import ORACLE_IP, ORACLE_PORT, TUNER_ID
from tuner.settings import SearchConfig
from tuner.space import configure
from tuner.tuner import make_oracle

CONFIG = SearchConfig(oracle="random", trials=2, seed=1)


@pytest.fixture(autouse=True)
def address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv(ORACLE_IP, "127.0.0.1")
    monkeypatch.setenv(ORACLE_PORT, str(port))
    monkeypatch.setenv(TUNER_ID, "worker-0")
    # Nothing here takes long enough for a pause to matter.
    monkeypatch.setattr("tuner.remote.IDLE_SECONDS", 0.01)
    monkeypatch.setattr("tuner.chief._LOOK_SECONDS", 0.02)


def oracle_in(folder: Path) -> Lasting:
    oracle = make_oracle(CONFIG, single=False)
    oracle._set_project_dir(str(folder), "oracle")
    if (folder / "oracle/oracle.json").is_file():
        oracle.reload()
    return oracle


def worker(seconds: float = 20) -> RemoteOracle:
    return RemoteOracle(make_oracle(CONFIG, single=False), seconds)


class Killed(Exception):  # noqa: N818 - no error
    """Ends a chief in the middle of a search."""


@contextlib.contextmanager
def serving(
    oracle: Lasting, seconds: float = 20, look: Callable[[], None] = lambda: None
) -> Iterator[threading.Thread]:
    """A chief that ends with the search, or with the block."""
    leaving = threading.Event()

    def watch() -> None:
        look()
        if leaving.is_set():
            raise Killed

    def serve() -> None:
        with contextlib.suppress(Killed):
            chief.serve(oracle, seconds, watch)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield thread
    finally:
        leaving.set()
        thread.join()


def finish(mine: RemoteOracle | Lasting, trial: object) -> None:
    mine.update_trial(trial.trial_id, {OBJECTIVE: 0.5})  # type: ignore[attr-defined]
    trial.status = "COMPLETED"  # type: ignore[attr-defined]
    mine.end_trial(trial)


def test_the_chief_ends_when_its_workers_have_heard_that_all_is_done(tmp_path: Path):
    with serving(oracle_in(tmp_path)) as thread:
        mine = worker()
        for _ in range(2):
            trial = mine.create_trial("worker-0")
            assert trial.status == "RUNNING"
            finish(mine, trial)
        assert mine.create_trial("worker-0").status == "STOPPED"
        thread.join(10)
        assert not thread.is_alive()


def test_a_chief_that_is_killed_after_the_last_trial_ends_without_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tuner.chief._LAST_WORD_SECONDS", 0.1)
    oracle = oracle_in(tmp_path)
    while (trial := oracle.create_trial("worker-0")).status != "STOPPED":
        finish(oracle, trial)
    again = oracle_in(tmp_path)
    chief.serve(again, 600, lambda: None)
    assert len(again.end_order) == 2
    # Where more is asked for, there is something left, and it waits for workers.
    more = oracle_in(tmp_path)
    more.wanted = 3
    with pytest.raises(TimeoutError):
        chief.serve(more, 0.1, lambda: None)


def test_a_trial_means_the_same_to_worker_and_chief(tmp_path: Path):
    oracle = oracle_in(tmp_path)
    with serving(oracle):
        mine = worker()
        trial = mine.create_trial("worker-0")
        known = len(trial.hyperparameters.space)
        there = configure(trial.hyperparameters, TrainConfig())
        assert len(trial.hyperparameters.space) == known
        finish(mine, trial)
    kept = oracle.trials[trial.trial_id]
    # No layer is told of that the network has not.
    assert len(there.hyper.filters) == 3
    assert "filters_3" not in kept.hyperparameters.values
    assert kept.hyperparameters.values == trial.hyperparameters.values
    assert configure(kept.hyperparameters, TrainConfig()) == there


def test_a_worker_waits_for_a_chief_that_restarts_and_loses_nothing(tmp_path: Path):
    mine = worker()
    with serving(oracle_in(tmp_path)):
        trial = mine.create_trial("worker-0")
    results: list[object] = []
    telling = threading.Thread(target=lambda: results.append(finish(mine, trial)))
    telling.start()  # nobody listens
    again = oracle_in(tmp_path)
    with serving(again):
        telling.join(20)
        assert results == [None]
        assert again.end_order == [trial.trial_id]
        assert mine.create_trial("worker-0").trial_id != trial.trial_id


def test_a_call_that_a_dying_chief_leaves_unanswered_is_made_again(tmp_path: Path):
    oracle = oracle_in(tmp_path)
    mine = worker()
    calls = []

    class Dying(grpc.ServerInterceptor):  # type: ignore[misc]
        def intercept_service(self, continuation, details):  # type: ignore[no-untyped-def]
            calls.append(details.method)
            handler = continuation(details)
            if len(calls) > 1:
                return handler

            def die(request, context):  # type: ignore[no-untyped-def]
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")

            return grpc.unary_unary_rpc_method_handler(
                die, handler.request_deserializer, handler.response_serializer
            )

    server = grpc.server(futures.ThreadPoolExecutor(1), interceptors=[Dying()])
    protos.get_service_grpc().add_OracleServicer_to_server(
        OracleServicer(oracle), server
    )
    server.add_insecure_port(f"127.0.0.1:{os.environ[ORACLE_PORT]}")
    server.start()
    try:
        assert mine.create_trial("worker-0").trial_id == "0"
    finally:
        server.stop(None).wait()
    assert len(calls) == 2
    assert list(oracle.trials) == ["0"]


def test_a_rejection_arrives_at_the_chief(tmp_path: Path):
    oracle = oracle_in(tmp_path)
    with serving(oracle):
        mine = worker()
        trial = mine.create_trial("worker-0")
        told = {OBJECTIVE: float("inf"), REJECTED: 1.0}
        mine.update_trial(trial.trial_id, told)
        trial.status = "FAILED"
        mine.end_trial(trial)
    assert oracle.rejected == 1
    assert oracle_in(tmp_path).rejected == 1


def test_a_worker_that_is_gone_does_not_keep_the_chief(tmp_path: Path):
    with serving(oracle_in(tmp_path), seconds=2) as thread:
        worker().create_trial("worker-0")  # and is never heard of again
        mine, taken = worker(), []
        while (trial := mine.create_trial("worker-1")).status != "STOPPED":
            if trial.status == "RUNNING":
                taken.append(trial.trial_id)
                finish(mine, trial)
        assert sorted(taken) == ["0", "1"]
        thread.join(10)
        assert not thread.is_alive()


def test_signs_of_life_keep_a_long_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tuner.remote.BEAT_SECONDS", 0.05)
    oracle = oracle_in(tmp_path)
    heard = threading.Event()
    first: list[float] = []

    def look() -> None:
        first[:] = first or list(oracle._heard.values())
        if first and oracle._heard["worker-0"] > first[0]:
            heard.set()

    with serving(oracle, look=look):
        mine = worker()
        trial = mine.create_trial("worker-0")
        with mine.alive(trial.trial_id):
            assert heard.wait(10)


def test_a_chief_without_workers_ends_with_what_to_do(tmp_path: Path):
    with pytest.raises(TimeoutError, match=r"no worker was heard of for 0\.1 s; start"):
        chief.serve(oracle_in(tmp_path), 0.1, lambda: None)


def test_a_worker_without_a_chief_ends_with_what_to_do():
    with pytest.raises(ChiefGoneError, match="no chief answered at "):
        worker(seconds=0.3).create_trial("worker-0")


def test_a_port_that_is_taken_is_named(tmp_path: Path):
    with serving(oracle_in(tmp_path / "one")):
        worker().get_space()  # it listens
        with pytest.raises(OSError, match="the chief cannot listen at "):
            chief.serve(oracle_in(tmp_path / "two"), 1, lambda: None)


def test_a_chief_that_cannot_save_ends_instead_of_stalling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, content: object) -> None:
        raise OSError("no space left on device")

    oracle = oracle_in(tmp_path)
    monkeypatch.setattr("tuner.oracles.write_json", full)

    def ask() -> None:
        with contextlib.suppress(grpc.RpcError):
            worker().create_trial("worker-0")

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(OSError, match=r"could not go on \(no space left on device\)"):
        chief.serve(oracle, 20, lambda: None)
    asking.join(10)
