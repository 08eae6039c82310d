"""Who computes when: callers compute their own batches, at most so many at once.

There are no batch threads that a call is handed to. A caller that finds a free slot
computes at once, in its own thread, as if there were no batching; only what has to wait
is merged, and computed by one of those who wait.
"""

import collections
import dataclasses
import queue
import threading
import time

import grpc

from serving.server.batching.parameters import BatchingParameters
from serving.server.errors import ServingError
from serving.server.tensors import Array


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came of a piece: its outputs, or why there are none."""

    piece: "Piece"
    outputs: list[Array]
    error: ServingError | None = None


@dataclasses.dataclass(slots=True, eq=False)
class Caller:
    """A thread that waits for its rows.

    Attributes:
        deadline: Of `time.monotonic`; None waits for ever.
        mailbox: What it gets: batches to compute, answers to its pieces.
        busy: Whether it computes a batch, or was told to.
    """

    deadline: float | None
    mailbox: "queue.SimpleQueue[Batch | Answer]" = dataclasses.field(
        default_factory=queue.SimpleQueue
    )
    busy: bool = False


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Rows of one call that go into one batch; a call that is cut has several.

    Attributes:
        caller: Whose rows.
        arrays: The inputs.
        rows: How many.
        number: Its place among the pieces of the call.
        queued: When, of `time.monotonic`.
    """

    caller: Caller
    arrays: list[Array]
    rows: int
    number: int
    queued: float


@dataclasses.dataclass(slots=True, eq=False)
class Batch:
    """Pieces that are computed together.

    Attributes:
        due: When it stops waiting for more rows.
        pieces: In the order in which they came.
        rows: Of all pieces.
    """

    due: float
    pieces: list[Piece] = dataclasses.field(default_factory=list)
    rows: int = 0


class Waiting:
    """Batches of a queue that nobody computes yet; guarded by the scheduler's lock."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self._limit = parameters.execution_limit
        self._most = max(1, parameters.max_enqueued_batches)
        self._timeout = parameters.batch_timeout_micros / 1e6
        self._splits = parameters.enable_large_batch_splitting
        self._batches: collections.deque[Batch] = collections.deque()

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, caller: Caller, arrays: list[Array], rows: int) -> int:
        """Queues the rows of a call; returns in how many pieces.

        Raises:
            ServingError: There is no room.
        """
        sizes = self._sizes(rows)
        batches = len(self._batches)
        if batches - (sizes[0] <= self._room()) + len(sizes) > self._most:
            raise ServingError(
                grpc.StatusCode.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted is full; "
                f"currently {batches} batches enqueued and max_enqueued_batches is "
                f"{self._most}",
            )
        now, start = time.monotonic(), 0
        for number, size in enumerate(sizes):
            if size > self._room():
                self._batches.append(Batch(now + self._timeout))
            whole = size == rows
            part = [each if whole else each[start : start + size] for each in arrays]
            batch = self._batches[-1]
            batch.pieces.append(Piece(caller, part, size, number, now))
            batch.rows += size
            start += size
        return len(sizes)

    def take(self, now: float) -> tuple[Caller, Batch] | None:
        """Removes the next batch if it is due or full and somebody is free for it."""
        if not self._batches:
            return None
        batch = self._batches[0]
        full = len(self._batches) > 1 or batch.rows >= self._limit
        if not full and now < batch.due:
            return None
        idle = (each.caller for each in batch.pieces if not each.caller.busy)
        leader = next(idle, None)
        if leader is None:
            return None
        self._batches.popleft()
        leader.busy = True
        return leader, batch

    def due(self, caller: Caller, now: float) -> float | None:
        """Returns when the next batch of a caller is due, if that is to come."""
        dues = (
            batch.due
            for batch in self._batches
            if batch.due > now and any(each.caller is caller for each in batch.pieces)
        )
        return min(dues, default=None)

    def withdraw(self, caller: Caller) -> bool:
        """Removes what a caller has queued; returns whether there was anything."""
        found = False
        for batch in list(self._batches):
            kept = [each for each in batch.pieces if each.caller is not caller]
            found |= len(kept) < len(batch.pieces)
            batch.pieces, batch.rows = kept, sum(each.rows for each in kept)
            if not kept:
                self._batches.remove(batch)
        return found

    def _room(self) -> int:
        return self._limit - self._batches[-1].rows if self._batches else 0

    def _sizes(self, rows: int) -> list[int]:
        if not self._splits:
            return [rows]
        first = min(rows, self._room())
        sizes = [first] if first else []
        for start in range(first, rows, self._limit):
            sizes.append(min(self._limit, rows - start))
        return sizes


class Scheduler:
    """Gives out the slots, fairly between the queues of all models."""

    def __init__(self, slots: int) -> None:
        self._lock = threading.Lock()
        self._free = slots
        self._queues: collections.deque[Waiting] = collections.deque()

    def submit(
        self, waiting: Waiting, caller: Caller, arrays: list[Array], rows: int
    ) -> int:
        """Queues the rows of a call; returns in how many pieces.

        Raises:
            ServingError: There is no room.
        """
        with self._lock:
            was_empty = not waiting
            pieces = waiting.add(caller, arrays, rows)
            if was_empty:
                self._queues.append(waiting)
            self._give_out(time.monotonic())
        return pieces

    def release(self, caller: Caller) -> None:
        """Takes a slot back and gives it to the next batch."""
        with self._lock:
            caller.busy = False
            self._free += 1
            self._give_out(time.monotonic())

    def due(self, waiting: Waiting, caller: Caller) -> float | None:
        """Gives out what became due; returns when a caller's next batch will be.

        What is due and stays has no free slot or leader, and goes at the next release.
        """
        with self._lock:
            now = time.monotonic()
            self._give_out(now)
            return waiting.due(caller, now)

    def withdraw(self, waiting: Waiting, caller: Caller) -> bool:
        """Removes what a caller has queued; returns whether there was anything."""
        with self._lock:
            found = waiting.withdraw(caller)
            if found and not waiting:
                self._queues.remove(waiting)
            self._give_out(time.monotonic())
        return found

    def _give_out(self, now: float) -> None:
        passed = 0
        while self._free and passed < len(self._queues):
            waiting = self._queues.popleft()
            taken = waiting.take(now)
            if waiting:
                self._queues.append(waiting)
            if taken is None:
                passed += 1
                continue
            passed = 0
            self._free -= 1
            leader, batch = taken
            leader.mailbox.put(batch)
