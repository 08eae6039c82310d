from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import mri_contrast
from mri_contrast import AsyncClient, Client, Result, Transport
from tests.client.small_server import SmallServer, ball

HEAD = ball("T1")


@pytest.fixture
def small() -> Iterator[SmallServer]:
    with SmallServer() as server:
        yield server


async def collected(client: AsyncClient, *given: Any, **named: Any) -> list[Result]:
    return [result async for result in client.identify_many(*given, **named)]


def test_it_answers_as_the_client_does(small: SmallServer, tmp_path: Path) -> None:
    (tmp_path / "broken.nii").write_bytes(b"x" * 500)
    slots: Any = {"T1": ball("FLAIR"), "FLAIR": HEAD}
    sources = [HEAD, str(tmp_path / "broken.nii"), ball("T2")]

    async def ask() -> list[Any]:
        async with AsyncClient(small.target) as client:
            await client.wait_until_ready(timeout=20)
            return [
                await client.identify(HEAD),
                await client.check(HEAD, expected="FLAIR"),
                await client.check_upload(slots),
                await client.model_status(),
                [(r.answer, str(r.error)) for r in await collected(client, sources)],
            ]

    with Client(small.target) as client:
        expected = [
            client.identify(HEAD),
            client.check(HEAD, expected="FLAIR"),
            client.check_upload(slots),
            client.model_status(),
            [(r.answer, str(r.error)) for r in client.identify_many(sources)],
        ]
    assert asyncio.run(ask()) == expected


def test_all_public_methods_are_there_with_the_same_parameters() -> None:
    import inspect

    def methods(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(AsyncClient) == methods(Client)


def test_many_tasks_share_it_and_the_loop_goes_on(small: SmallServer) -> None:
    small.delays = [1.0] * 8

    async def ask() -> tuple[list[str], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        async with AsyncClient(small.target, timeout=60) as client:
            ticking = asyncio.ensure_future(tick())
            answers = await asyncio.gather(*(client.identify(HEAD) for _ in range(8)))
            ticking.cancel()
        return [answer.contrast for answer in answers], ticks

    answers, ticks = asyncio.run(ask())
    assert answers == ["T1"] * 8
    assert ticks >= 10, "the servers alone take a second"


def test_a_journal_serves_both_clients(small: SmallServer, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    for name in "ab":
        Image.fromarray(HEAD[20].astype(np.uint16)).save(tmp_path / f"{name}.png")
    journal = tmp_path / "done.jsonl"
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    with Client(small.target) as client:
        list(client.identify_many(paths[:1], journal=journal))

    async def ask() -> list[Result]:
        async with AsyncClient(small.target) as client:
            return await collected(client, paths, journal=journal, ahead=4)

    assert [result.repeated for result in asyncio.run(ask())] == [True, False]


def test_it_may_be_used_in_one_loop_after_the_other(small: SmallServer) -> None:
    client = AsyncClient(small.target)
    for _ in range(2):
        assert asyncio.run(client.identify(HEAD)).contrast == "T1"
    asyncio.run(client.close())
    with pytest.raises(ValueError, match="the client is closed"):
        asyncio.run(client.identify(HEAD))


def test_a_slow_server_is_given_up_and_a_busy_one_asked_again(
    small: SmallServer,
) -> None:
    async def ask() -> str:
        async with AsyncClient(small.target, timeout=1) as hasty:
            small.delays = [30]
            start = time.monotonic()
            with pytest.raises(mri_contrast.DeadlineExceeded, match="more than 1 s"):
                await hasty.identify(HEAD)
            assert time.monotonic() - start < 10
        async with AsyncClient(small.target, timeout=30) as client:
            small.fails = [(grpc.StatusCode.UNAVAILABLE, "queue full")] * 2
            return (await client.identify(HEAD)).contrast

    assert asyncio.run(ask()) == "T1"
    assert len(small.requests) == 4


def test_hedging_takes_the_first_answer_and_tells_where_both_fail(
    small: SmallServer,
) -> None:
    async def ask() -> str:
        transport = Transport(hedge_after=0.2, retries=0)
        async with AsyncClient(small.target, timeout=30, transport=transport) as client:
            small.delays = [20]
            answer = await client.identify(HEAD)
            small.delays = [0.6, 0.9]
            small.late_fails = [(grpc.StatusCode.INTERNAL, "no")] * 2
            with pytest.raises(mri_contrast.RejectedByServer, match="INTERNAL"):
                await client.identify(HEAD)
            small.delays = [0.6, 1.5]
            small.late_fails = [(grpc.StatusCode.INTERNAL, "no")]
            await client.identify(HEAD)
            return answer.contrast

    start = time.monotonic()
    assert asyncio.run(ask()) == "T1"
    assert time.monotonic() - start < 15
    assert len(small.requests) == 6


def test_a_cancelled_task_ends_at_once(small: SmallServer) -> None:
    async def ask() -> None:
        async with AsyncClient(small.target, timeout=60) as client:
            small.delays = [30]
            await asyncio.wait_for(client.identify(HEAD), timeout=1)

    start = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(ask())
    assert time.monotonic() - start < 20
