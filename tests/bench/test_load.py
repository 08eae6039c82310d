import threading

import pytest

from bench.load import in_flight, percentile


def test_so_many_calls_are_in_flight_and_all_count() -> None:
    together = threading.Barrier(4, timeout=120)

    def connect():
        asked: list[int] = []

        def ask() -> None:
            if not asked:
                together.wait()  # passes only where four calls wait at once
            asked.append(1)

        return ask

    turn = in_flight(connect, slices=24, calls=4)(0.05)
    assert turn.rate > 0
    assert turn.p99 is not None
    assert turn.p99 >= 0


def test_each_thread_gets_what_it_asks_with() -> None:
    made: list[int] = []

    def connect():
        made.append(1)
        return lambda: None

    in_flight(connect, slices=1, calls=3)
    assert len(made) == 3


def test_a_call_that_fails_ends_the_turn_with_its_reason() -> None:
    def ask() -> None:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(ConnectionRefusedError, match="nobody listens"):
        in_flight(lambda: ask, slices=1, calls=4)(0.05)


def test_percentiles_are_times_that_were_taken() -> None:
    times = [float(n) for n in range(1, 101)]
    assert percentile(times, 0.99) == 99
    assert percentile(times, 0.5) == 50
    assert percentile([7.0], 0.99) == 7
