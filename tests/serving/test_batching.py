"""The queues themselves: what is merged, what waits, what is refused."""

import contextlib
import queue as queues
import threading
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.server.batching.parameters import BatchingParameters
from serving.server.batching.queue import Batching
from serving.server.batching.scheduler import Scheduler
from serving.server.errors import ServingError


class Signalling(Scheduler):
    """Says when a call is queued, so that no test has to wait for time to pass."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self.queued = threading.Semaphore(0)

    def submit(self, *arguments):
        try:
            return super().submit(*arguments)
        finally:
            self.queued.release()


class Doubler:
    """Computes `2 x`, each time only when it is let; keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[np.ndarray] = []
        self.deadlines: list[float | None] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def __call__(self, arrays, deadline):
        self.given.append(arrays[0])
        self.deadlines.append(deadline)
        self.begun.release()
        self.let.acquire()
        if (arrays[0] < 0).any():
            raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, "negative")
        return [2 * arrays[0]]

    @property
    def sizes(self) -> list[int]:
        return [len(each) for each in self.given]


class Bench:
    """A queue with one slot, and threads that call it."""

    def __init__(self, **parameters) -> None:
        self.parameters = BatchingParameters(
            **{"num_batch_threads": 1, "max_enqueued_batches": 99} | parameters
        )
        self.scheduler = Signalling(self.parameters.num_batch_threads)
        self.compute = Doubler()
        self.observed: list[tuple] = []
        self.queue = Batching(self.scheduler, self.parameters, self).queue(
            ["x:0"], self.compute
        )
        self.pool = futures.ThreadPoolExecutor(16)

    def batch(self, sizes, padding, waited) -> None:
        self.observed.append((list(sizes), padding))

    def call(self, *rows, deadline=None) -> futures.Future:
        """Starts a call and returns once it is queued, or refused."""
        future = self.pool.submit(self.queue, [np.array(rows, np.float32)], deadline)
        self.scheduler.queued.acquire()
        return future

    def busy(self) -> futures.Future:
        """Occupies the slot."""
        future = self.call(0.0)
        self.compute.begun.acquire()
        return future


@contextlib.contextmanager
def bench(**parameters) -> Iterator[Bench]:
    made = Bench(**parameters)
    yield made
    made.compute.let.release(100)
    made.pool.shutdown()


def doubled(future: futures.Future) -> list[float]:
    return future.result(60)[0].tolist()


def refused(future: futures.Future) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(ServingError) as caught:
        future.result(60)
    return caught.value.code, caught.value.text


def test_a_lone_call_is_computed_by_its_own_thread_at_once():
    threads = []

    def compute(arrays, _deadline):
        threads.append(threading.get_ident())
        return arrays

    queue = Batching(Scheduler(1), BatchingParameters()).queue(["x:0"], compute)
    queue([np.zeros(3)], None)
    assert threads == [threading.get_ident()]


def test_what_waits_is_merged_and_everybody_gets_their_own_rows():
    with bench() as b:
        first = b.busy()
        waiting = [b.call(1.0), b.call(2.0, 3.0), b.call(4.0)]
        b.compute.let.release(2)
        assert doubled(first) == [0]
        assert [doubled(each) for each in waiting] == [[2], [4, 6], [8]]
        assert b.compute.sizes == [1, 4]
        assert b.observed == [([1], 0), ([1, 2, 1], 0)]


def test_no_more_calls_are_computed_at_once_than_there_are_threads():
    with bench(num_batch_threads=2, max_batch_size=1) as b:
        calls = [b.call(float(n)) for n in range(5)]
        b.compute.begun.acquire()
        b.compute.begun.acquire()
        assert len(b.compute.given) == 2
        b.compute.let.release(5)
        assert [doubled(each) for each in calls] == [[0], [2], [4], [6], [8]]


def test_a_batch_is_never_larger_than_max_batch_size():
    with bench(max_batch_size=3) as b:
        calls = [b.busy(), *(b.call(float(n), float(n)) for n in range(3))]
        b.compute.let.release(9)
        for each in calls:
            each.result(60)
        assert b.compute.sizes == [1, 2, 2, 2]


def test_batches_are_filled_up_with_the_last_calls_first_row_and_cut_again():
    with bench(max_batch_size=8, allowed_batch_sizes=(4, 8)) as b:
        first = b.busy()
        two, three = b.call(1.0, 2.0), b.call(3.0, 4.0, 5.0)
        b.compute.let.release(2)
        assert doubled(first) == [0]
        assert doubled(two) == [2, 4]
        assert doubled(three) == [6, 8, 10]
        assert b.compute.given[1].tolist() == [1, 2, 3, 4, 5, 3, 3, 3]
        assert b.compute.sizes == [4, 8]


def test_a_call_above_max_batch_size_is_refused():
    with bench(max_batch_size=2) as b, pytest.raises(ServingError) as caught:
        b.queue([np.zeros(3)], None)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.text == (
        "Task size 3 is larger than maximum input batch size 2"
    )


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ([np.float32(1)], "must have at least one dimension"),
        ([np.zeros(2), np.zeros(3)], "must have equal 0th-dimension size"),
    ],
)
def test_inputs_without_a_common_number_of_rows_are_refused(arrays, text):
    with bench() as b, pytest.raises(ServingError, match=text) as caught:
        b.queue([np.asarray(each) for each in arrays], None)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_full_queue_refuses():
    with bench(max_batch_size=1, max_enqueued_batches=2) as b:
        calls = [b.busy(), b.call(1.0), b.call(2.0)]
        assert refused(b.call(3.0)) == (
            grpc.StatusCode.UNAVAILABLE,
            "The batch scheduling queue to which this task was submitted is full; "
            "currently 2 batches enqueued and max_enqueued_batches is 2",
        )
        b.compute.let.release(3)
        assert [doubled(each) for each in calls] == [[0], [2], [4]]


def test_a_call_whose_time_is_up_in_the_queue_is_refused_and_not_computed():
    with bench() as b:
        first = b.busy()
        late = b.call(1.0, deadline=time.monotonic() + 0.01)
        assert refused(late) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Run() timeout exceeded while waiting in batching queue",
        )
        patient = b.call(2.0, deadline=time.monotonic() + 600)
        b.compute.let.release(2)
        assert doubled(first) == [0]
        assert doubled(patient) == [4]
        assert b.compute.sizes == [1, 1]


def test_the_longest_deadline_counts_for_a_batch():
    with bench() as b:
        b.busy()
        soon, later = time.monotonic() + 300, time.monotonic() + 600
        calls = [b.call(1.0, deadline=soon), b.call(2.0, deadline=later)]
        b.compute.let.release(2)
        for each in calls:
            each.result(60)
        assert b.compute.deadlines == [None, later]


def test_different_shapes_are_refused_unless_they_are_filled_up():
    with bench() as b:
        b.busy()
        calls = [b.call([1.0, 2.0]), b.call([3.0])]
        b.compute.let.release(9)
        for each in calls:
            code, text = refused(each)
            assert code is grpc.StatusCode.FAILED_PRECONDITION
            assert "Tensors with name 'x:0' from different tasks have differ" in text


def test_variable_lengths_are_filled_up_with_the_first_element():
    with bench(pad_variable_length_inputs=True) as b:
        first = b.call([0.0])
        b.compute.begun.acquire()
        calls = [b.call([1.0, 2.0]), b.call([3.0])]
        b.compute.let.release(2)
        first.result(60)
        assert [doubled(each) for each in calls] == [[[2, 4]], [[6, 6]]]


def test_one_wrong_call_does_not_fail_those_it_was_merged_with():
    with bench() as b:
        b.busy()
        good, bad, fine = b.call(1.0), b.call(-1.0), b.call(3.0)
        b.compute.let.release(9)
        assert doubled(good) == [2]
        assert doubled(fine) == [6]
        assert refused(bad) == (grpc.StatusCode.INVALID_ARGUMENT, "negative")


def test_a_failure_that_nobody_foresaw_reaches_everybody_who_waits():
    def fail(*_):
        raise MemoryError

    b = Batching(Scheduler(1), BatchingParameters()).queue(["x:0"], fail)
    with pytest.raises(ServingError) as caught:
        b([np.zeros(1)], None)
    assert caught.value.code is grpc.StatusCode.INTERNAL
    with pytest.raises(ServingError):
        b([np.zeros(1)], None)


def test_an_output_without_a_row_for_each_row_is_refused():
    queue = Batching(Scheduler(1), BatchingParameters()).queue(
        ["x:0"], lambda arrays, _: [arrays[0].sum()]
    )
    with pytest.raises(ServingError, match="has 0 dimensions") as caught:
        queue([np.zeros(2)], None)
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION


def test_large_calls_are_cut_and_put_together_again():
    with bench(
        max_batch_size=10, enable_large_batch_splitting=True, max_execution_batch_size=4
    ) as b:
        first = b.busy()
        calls = [b.call(1.0), b.call(*(float(n) for n in range(9)))]
        b.compute.let.release(9)
        assert doubled(first) == [0]
        assert doubled(calls[0]) == [2]
        assert doubled(calls[1]) == [0, 2, 4, 6, 8, 10, 12, 14, 16]
        assert b.compute.sizes == [1, 4, 4, 2]


def test_a_batch_waits_for_more_rows_until_it_is_full():
    with bench(max_batch_size=2, batch_timeout_micros=600_000_000) as b:
        one = b.call(1.0)
        assert not b.compute.given
        two = b.call(2.0)
        b.compute.let.release()
        assert (doubled(one), doubled(two)) == ([2], [4])
        assert b.compute.sizes == [2]


def test_a_batch_that_is_not_full_goes_at_its_timeout():
    with bench(max_batch_size=2, batch_timeout_micros=1000) as b:
        one = b.call(1.0)
        b.compute.let.release()
        assert doubled(one) == [2]


def test_a_batch_that_is_due_before_its_caller_looks_goes_at_once():
    class Slow(Scheduler):
        def submit(self, *args):
            pieces = super().submit(*args)
            time.sleep(0.01)  # the thread loses the processor
            return pieces

    parameters = BatchingParameters(batch_timeout_micros=1000)
    queue = Batching(Slow(1), parameters).queue(["x:0"], lambda arrays, _: arrays)
    with futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(queue, [np.ones(1)], time.monotonic() + 60)
        np.testing.assert_array_equal(call.result()[0], np.ones(1))


def test_rows_of_two_queues_are_never_mixed():
    scheduler = Signalling(1)
    batching = Batching(scheduler, BatchingParameters())
    doubler, seen = Doubler(), queues.SimpleQueue()

    def other(arrays, _deadline):
        seen.put(len(arrays[0]))
        return arrays

    one, two = batching.queue(["x:0"], doubler), batching.queue(["x:0"], other)
    with futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(one, [np.zeros(1)], None)
        doubler.begun.acquire()
        scheduler.queued.acquire()
        rest = [pool.submit(each, [np.ones(1)], None) for each in (one, two)]
        for _ in rest:
            scheduler.queued.acquire()
        doubler.let.release(2)
        assert [doubled(each) for each in (first, *rest)] == [[0], [2], [1]]
    assert seen.get() == 1


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=24),
    threads=st.integers(1, 3),
    most=st.integers(2, 9),
    splitting=st.booleans(),
    timeout=st.sampled_from([0, 100]),
)
def test_whatever_comes_together_everybody_gets_their_own_rows(
    sizes, threads, most, splitting, timeout
):
    parameters = BatchingParameters(
        max_batch_size=7 if splitting else max(7, most),
        max_execution_batch_size=min(7, most) if splitting else None,
        enable_large_batch_splitting=splitting,
        num_batch_threads=threads,
        max_enqueued_batches=1000,
        batch_timeout_micros=timeout,
    )
    queue = Batching(Scheduler(threads), parameters).queue(
        ["x:0"], lambda arrays, _: [arrays[0] + 1]
    )
    starts = np.cumsum([0, *sizes])
    rows = [np.arange(a, a + n) for a, n in zip(starts, sizes, strict=False)]
    with futures.ThreadPoolExecutor(len(sizes)) as pool:
        calls = [pool.submit(queue, [each], None) for each in rows]
        for call, each in zip(calls, rows, strict=True):
            np.testing.assert_array_equal(call.result(60)[0], each + 1)
