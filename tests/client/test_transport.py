from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from mri_contrast import (
    Client,
    DeadlineExceeded,
    RejectedByServer,
    ServerUnavailable,
    Tls,
    Transport,
)
from tests.client.keys import Authority
from tests.client.small_server import SmallServer, ball

BUSY = (grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue is full")
HEAD = ball("T1")


@pytest.fixture
def small() -> Iterator[SmallServer]:
    with SmallServer() as server:
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return Authority(tmp_path_factory.mktemp("keys"))


def secured(pair: Any, ca: Path | None = None) -> SmallServer:
    """A server that shows a certificate and, with `ca`, demands one."""
    return SmallServer(
        credentials=grpc.ssl_server_credentials(
            [(pair.key.read_bytes(), pair.certificate.read_bytes())],
            root_certificates=ca.read_bytes() if ca else None,
            require_client_auth=ca is not None,
        )
    )


def ask(target: str, **transport: Any) -> str:
    with Client(target, transport=Transport(**transport), timeout=20) as client:
        return client.identify(HEAD).contrast


def test_a_busy_server_is_asked_again(small: SmallServer) -> None:
    small.fails = [BUSY, (grpc.StatusCode.RESOURCE_EXHAUSTED, "timed out in queue")]
    assert ask(small.target) == "T1"
    assert len(small.requests) == 3


def test_no_more_often_than_is_asked_for(small: SmallServer) -> None:
    small.fails = [BUSY] * 9
    with pytest.raises(ServerUnavailable, match="queue is full"):
        ask(small.target, retries=1)
    assert len(small.requests) == 2
    with pytest.raises(ServerUnavailable):
        ask(small.target, retries=0)
    assert len(small.requests) == 3


@pytest.mark.parametrize("code", ["INTERNAL", "INVALID_ARGUMENT", "DATA_LOSS"])
def test_what_a_retry_cannot_mend_is_told_at_once(
    small: SmallServer, code: str
) -> None:
    small.fails = [(grpc.StatusCode[code], "no")]
    with pytest.raises(RejectedByServer, match=f"{code}: no"):
        ask(small.target)
    assert len(small.requests) == 1


def test_retries_end_with_the_deadline(small: SmallServer) -> None:
    small.fails = [BUSY] * 9
    start = time.monotonic()
    with (
        Client(small.target, timeout=0.3, transport=Transport(retries=4)) as client,
        pytest.raises((ServerUnavailable, DeadlineExceeded)),
    ):
        client.identify(HEAD)
    assert time.monotonic() - start < 2, "four retries alone take 3.9 s"


def test_hedging_is_off_by_default(small: SmallServer) -> None:
    small.delays = [0.5]
    assert ask(small.target) == "T1"
    assert len(small.requests) == 1


def test_a_hedged_call_takes_the_first_answer(small: SmallServer) -> None:
    small.delays = [15]
    start = time.monotonic()
    assert ask(small.target, hedge_after=0.2) == "T1"
    assert time.monotonic() - start < 10
    assert len(small.requests) == 2


def test_a_quick_answer_needs_no_hedge(small: SmallServer) -> None:
    assert ask(small.target, hedge_after=10) == "T1"
    assert len(small.requests) == 1


def test_where_the_first_of_two_hedged_calls_fails_the_other_counts(
    small: SmallServer,
) -> None:
    small.delays = [0.6, 1.5]
    small.late_fails = [(grpc.StatusCode.INTERNAL, "no")]
    assert ask(small.target, hedge_after=0.2) == "T1"
    assert len(small.requests) == 2


def test_where_both_hedged_calls_fail_the_reason_is_told(small: SmallServer) -> None:
    small.delays = [0.6, 0.9]
    small.late_fails = [(grpc.StatusCode.INTERNAL, "no")] * 2
    with pytest.raises(RejectedByServer, match="INTERNAL"):
        ask(small.target, hedge_after=0.2)
    assert len(small.requests) == 2


def test_a_token_goes_with_every_call_and_may_change(small: SmallServer) -> None:
    tokens = iter(["first", "second"])

    def metadata() -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {next(tokens)}")]

    with Client(small.target, transport=Transport(metadata=metadata)) as client:
        client.identify(HEAD)
        client.identify(HEAD)
    assert [sent["authorization"] for sent in small.metadata] == [
        "Bearer first",
        "Bearer second",
    ]


def test_a_missing_token_is_told(small: SmallServer) -> None:
    small.fails = [(grpc.StatusCode.UNAUTHENTICATED, "who are you?")]
    with pytest.raises(RejectedByServer, match=r"give a valid token .*who are you"):
        ask(small.target)


class Counting(grpc.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.methods: list[str] = []

    def intercept_unary_unary(
        self, continuation: Any, details: Any, request: Any
    ) -> Any:
        self.methods.append(details.method)
        return continuation(details, request)


def test_interceptors_see_every_call(small: SmallServer) -> None:
    seen = Counting()
    assert ask(small.target, interceptors=[seen]) == "T1"
    assert seen.methods == ["/tensorflow.serving.PredictionService/Predict"]
    assert ask(small.target, interceptors=[seen], hedge_after=9) == "T1"
    assert len(seen.methods) == 2


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_slices_can_be_compressed(small: SmallServer, compression: Any) -> None:
    assert ask(small.target, compression=compression) == "T1"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"retries": 5}, "retries is 5; it must be in 0 to 4"),
        ({"retries": -1}, "retries is -1"),
        ({"hedge_after": 0}, "hedge_after is 0"),
        ({"keepalive": 0}, "keepalive is 0"),
        ({"compression": "zip"}, "compression is 'zip'"),
    ],
)
def test_a_transport_that_cannot_be_is_refused(
    given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Transport(**given)


def test_half_a_pair_is_no_mutual_tls() -> None:
    with pytest.raises(ValueError, match="mutual TLS needs both"):
        Tls(certificate=b"PEM")


def test_tls_by_path_or_content(authority: Authority) -> None:
    with secured(authority.pair("server")) as server:
        assert ask(server.target, tls=Tls(authority.ca)) == "T1"
        assert ask(server.target, tls=Tls(authority.ca.read_bytes())) == "T1"


def test_a_certificate_of_another_name_needs_that_name(authority: Authority) -> None:
    with secured(authority.pair("other", name="mri.example")) as server:
        named = Tls(authority.ca, server_name="mri.example")
        assert ask(server.target, tls=named) == "T1"


@pytest.mark.parametrize("wrong", ["expired", "stranger", "plain"])
def test_a_server_that_proves_nothing_gets_no_slices(
    authority: Authority, tmp_path: Path, wrong: str
) -> None:
    ca = authority.ca
    if wrong == "stranger":
        ca = Authority(tmp_path / "stranger").ca
    server = (
        SmallServer()
        if wrong == "plain"
        else secured(authority.pair("bad", expired=wrong == "expired"))
    )
    start = time.monotonic()
    with server, pytest.raises(ServerUnavailable) as caught:
        ask(server.target, tls=Tls(ca))
    assert time.monotonic() - start < 20
    assert "no TLS connection" in str(caught.value)
    assert server.requests == []
    if wrong == "expired":
        assert "certificate has expired" in str(caught.value)


def test_mutual_tls_lets_in_who_has_a_certificate(authority: Authority) -> None:
    mine = authority.pair("client")
    with secured(authority.pair("server"), authority.ca) as server:
        known = Tls(authority.ca, mine.certificate, mine.key)
        assert ask(server.target, tls=known) == "T1"
        with pytest.raises(ServerUnavailable):
            ask(server.target, tls=Tls(authority.ca))


def test_threads_share_one_connection(small: SmallServer) -> None:
    with (
        Client(small.target, timeout=60) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        answers = list(pool.map(lambda _: client.identify(HEAD).contrast, range(48)))
    assert answers == ["T1"] * 48
    assert len({peer["peer"] for peer in small.metadata}) == 1


def test_a_closed_client_says_so(small: SmallServer) -> None:
    client = Client(small.target)
    client.close()
    with pytest.raises(ValueError, match="the client is closed"):
        client.identify(HEAD)


def _in_children(target: str, asked_before: bool, say: Any) -> None:
    """Runs in a fresh process: forks two children that use the parent's client."""
    client = Client(target, timeout=20)
    if asked_before:
        client.identify(HEAD)
    children = []
    for _ in range(2):
        child = os.fork()
        if not child:
            try:
                say.send(client.identify(HEAD).contrast)
            finally:
                os._exit(0)
        children.append(child)
    say.send(client.identify(HEAD).contrast)
    for child in children:
        os.waitpid(child, 0)
    client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("asked_before", [False, True])
def test_parent_and_children_go_on_after_a_fork(
    small: SmallServer, asked_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked_before:
        monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "1")
    fresh: Any = multiprocessing.get_context("spawn")
    mine, theirs = fresh.Pipe()
    process = fresh.Process(
        target=_in_children, args=(small.target, asked_before, theirs)
    )
    process.start()
    try:
        heard = [mine.recv() for _ in range(3) if mine.poll(100)]
        process.join(60)
    finally:
        process.kill()
    assert heard == ["T1"] * 3
    assert process.exitcode == 0
