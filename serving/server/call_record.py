"""What is known of the call that this thread answers, for limits, metrics and logs."""

import contextlib
import contextvars
import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

import grpc

from serving.server.errors import ServingError


@dataclasses.dataclass(slots=True)
class CallRecord:
    """A call: numbers and names that the server itself knows, none of its data.

    Attributes:
        method: Predict, GetModelStatus and so on.
        entrypoint: GRPC or REST.
        deadline: Of `time.monotonic`; None where the client waits for ever.
        started: Of `time.monotonic`.
        model: Its name, once it is found.
        version: The one that answers.
        signature: The last that was run.
        examples: Rows, of all runs.
        runtime: Seconds in TensorFlow, the queue of batches included.
        outputs: Of the runs, by alias.
        code: How it ended.
    """

    method: str
    entrypoint: str
    deadline: float | None = None
    started: float = dataclasses.field(default_factory=time.monotonic)
    model: str = ""
    version: int | None = None
    signature: str = ""
    examples: int = 0
    runtime: float = 0
    outputs: list[Mapping[str, Any]] = dataclasses.field(default_factory=list)
    code: grpc.StatusCode = grpc.StatusCode.OK

    def ran(
        self, signature: str, rows: int, seconds: float, outputs: Mapping[str, Any]
    ) -> None:
        """Notes a run of a signature."""
        self.signature = signature
        self.examples += rows
        self.runtime += seconds
        self.outputs.append(outputs)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.started


_current: contextvars.ContextVar[CallRecord | None] = contextvars.ContextVar(
    "call", default=None
)


def current() -> CallRecord | None:
    """Returns the call that is being answered; None during a warm-up."""
    return _current.get()


def found(model: str, version: int | None = None) -> None:
    """Notes which model answers the call."""
    if (record := _current.get()) is not None:
        record.model, record.version = model, version


def deadline() -> float | None:
    """Returns when the call must be over, by `time.monotonic`.

    Raises:
        ServingError: That was before now, so that nothing need be computed.
    """
    record = _current.get()
    if record is None or record.deadline is None:
        return None
    if record.deadline <= time.monotonic():
        raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded")
    return record.deadline


@contextlib.contextmanager
def recorded(record: CallRecord) -> Iterator[CallRecord]:
    """Makes a record the current one."""
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)
