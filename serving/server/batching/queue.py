"""One queue: the calls of one version for the same inputs and outputs."""

import dataclasses
import logging
import math
import queue
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import grpc
import numpy as np

from serving.server.batching.padding import merge, rows_of, split
from serving.server.batching.parameters import BatchingParameters
from serving.server.batching.scheduler import (
    Answer,
    Batch,
    Caller,
    Piece,
    Scheduler,
    Waiting,
)
from serving.server.errors import ServingError, invalid
from serving.server.tensors import Array

_log = logging.getLogger(__name__)

Compute = Callable[[list[Array], float | None], list[Array]]
"""From inputs and a deadline (of `time.monotonic`, None for none) to outputs."""


class Observer(Protocol):
    """Is told of every batch that was computed."""

    def batch(
        self, sizes: Sequence[int], padding: int, waited: Sequence[float]
    ) -> None:
        """Takes rows of each call, rows of padding, seconds each call was queued."""


@dataclasses.dataclass(frozen=True, slots=True)
class Batching:
    """Makes queues.

    Attributes:
        scheduler: Shared by all models.
        parameters: Of these queues.
        observer: None where nobody counts.
    """

    scheduler: Scheduler
    parameters: BatchingParameters
    observer: Observer | None = None

    def queue(self, names: Sequence[str], compute: Compute) -> Compute:
        """Returns a computation that merges the calls that wait for it.

        Args:
            names: Of the inputs, for refusals.
            compute: Raises nothing but ServingError.
        """
        return _Queue(self, names, compute)


class _Queue:
    def __init__(
        self, batching: Batching, names: Sequence[str], compute: Compute
    ) -> None:
        self._scheduler = batching.scheduler
        self._parameters = batching.parameters
        self._observer = batching.observer
        self._names = names
        self._compute = compute
        self._waiting = Waiting(batching.parameters)

    def __call__(self, arrays: list[Array], deadline: float | None) -> list[Array]:
        rows = rows_of(arrays)
        if rows > self._parameters.max_batch_size:
            raise invalid(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._parameters.max_batch_size}"
            )
        if not rows:
            return self._compute(arrays, deadline)
        caller = Caller(deadline)
        pieces = self._scheduler.submit(self._waiting, caller, arrays, rows)
        answers = self._answers(caller, pieces)
        if len(answers) == 1:
            return answers[0].outputs
        answers.sort(key=lambda answer: answer.piece.number)
        parts = zip(*(answer.outputs for answer in answers), strict=True)
        return [np.concatenate(part) for part in parts]

    def _answers(self, caller: Caller, count: int) -> list[Answer]:
        """Waits for the answers, computing batches meanwhile where asked to."""
        answers: list[Answer] = []
        while len(answers) < count:
            message = self._next(caller)
            if message is None:
                waits = self._leave(caller)
                raise _timed_out() if waits else _late()
            if isinstance(message, Batch):
                self._lead(caller, message)
            elif message.error is not None:
                self._leave(caller)
                # Its own object for each thread: tracebacks are written into them.
                raise ServingError(message.error.code, message.error.text)
            else:
                answers.append(message)
        return answers

    def _next(self, caller: Caller) -> Batch | Answer | None:
        """Waits for a message; returns None at the caller's deadline."""
        while True:
            until = caller.deadline
            if self._parameters.batch_timeout_micros:
                due = self._scheduler.due(self._waiting, caller)
                until = min((each for each in (until, due) if each), default=None)
            left = None if until is None else max(0, until - time.monotonic())
            try:
                return caller.mailbox.get(timeout=left)
            except queue.Empty:
                if caller.deadline and time.monotonic() >= caller.deadline:
                    return None

    def _leave(self, caller: Caller) -> bool:
        """Gives up what is queued; returns whether there was anything."""
        waited = self._scheduler.withdraw(self._waiting, caller)
        while not caller.mailbox.empty():
            message = caller.mailbox.get()
            if isinstance(message, Batch):  # of others, too: somebody must compute it
                self._lead(caller, message)
        return waited

    def _lead(self, caller: Caller, batch: Batch) -> None:
        try:
            answers = self._computed(batch.pieces)
        except Exception as error:  # those who wait must not wait for ever
            _log.exception("a batch failed")
            failure = ServingError(grpc.StatusCode.INTERNAL, type(error).__name__)
            answers = [Answer(piece, [], failure) for piece in batch.pieces]
        self._scheduler.release(caller)
        for answer in answers:
            answer.piece.caller.mailbox.put(answer)

    def _computed(self, pieces: Sequence[Piece]) -> list[Answer]:
        now = time.monotonic()
        late = [each for each in pieces if (each.caller.deadline or math.inf) <= now]
        live = [each for each in pieces if each not in late] if late else pieces
        answers = [Answer(piece, [], _timed_out()) for piece in late]
        try:
            return answers + self._run(live, now) if live else answers
        except ServingError as error:
            if len(live) == 1 or error.code is not grpc.StatusCode.INVALID_ARGUMENT:
                return answers + [Answer(piece, [], error) for piece in live]
        # TF Serving would fail them all for what is wrong with one.
        return answers + [self._alone(piece, now) for piece in live]

    def _alone(self, piece: Piece, now: float) -> Answer:
        try:
            return self._run([piece], now)[0]
        except ServingError as error:
            return Answer(piece, [], error)

    def _run(self, pieces: Sequence[Piece], now: float) -> list[Answer]:
        sizes = [piece.rows for piece in pieces]
        padding = self._parameters.filled(sum(sizes)) - sum(sizes)
        merged = merge(
            self._names,
            [piece.arrays for piece in pieces],
            padding,
            self._parameters.pad_variable_length_inputs,
        )
        # The longest deadline counts, as in TF Serving.
        deadlines = [piece.caller.deadline or math.inf for piece in pieces]
        last = max(deadlines)
        outputs = self._compute(merged, None if math.isinf(last) else last)
        if self._observer is not None:
            self._observer.batch(
                sizes, padding, [now - piece.queued for piece in pieces]
            )
        parts = split(outputs, sizes, padding)
        return [Answer(*each) for each in zip(pieces, parts, strict=True)]


def _timed_out() -> ServingError:
    return ServingError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Run() timeout exceeded while waiting in batching queue",
    )


def _late() -> ServingError:
    return ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded")
