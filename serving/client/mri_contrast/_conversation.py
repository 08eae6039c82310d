"""What a client does, step by step, whoever carries the steps out.

`Client` and `AsyncClient` differ in how they call, compute and wait; all they do is
written here once, as generators that yield a step and are sent its result (or thrown
its error).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from mri_contrast import checks
from mri_contrast._cut import Cut, cut_one
from mri_contrast._protocol import Protocol, joined, packed
from mri_contrast.answers import Answer, VersionStatus
from mri_contrast.audit import Audit
from mri_contrast.checks import Check, UploadCheck
from mri_contrast.errors import (
    DeadlineExceeded,
    ModelNotFound,
    MriContrastError,
    ServerUnavailable,
    UnreadableScan,
)
from mri_contrast.scans import Source

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Call:
    """Calls a method; its result is the response.

    Attributes:
        method: such as "PredictionService/Predict".
        request: the message.
        at_most: seconds, where less than the client's timeout is left.
    """

    method: str
    request: Any
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Reads or computes; its result is what `run` returns."""

    run: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits."""

    seconds: float


T = TypeVar("T")
Step: TypeAlias = "Call | Work | Pause"
Steps: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that is asked of one model on one server."""

    protocol: Protocol
    audit: Audit | None

    def identify(self, source: Source) -> Steps[Answer]:
        """The answer of the one scan in a source."""
        cut = yield from self.cut(partial(cut_one, source, self.protocol.planes))
        (answer,) = yield from self.ask([cut])
        return answer

    def check(self, source: Source, expected: str) -> Steps[Check]:
        """Whether the one scan in a source is what its slot expects."""
        answer = yield from self.identify(source)
        return checks.judge(answer, expected)

    def check_upload(self, slots: Mapping[str, Source]) -> Steps[UploadCheck]:
        """Whether the scans of an upload are in their slots; in few calls."""
        if not slots:
            raise ValueError("no slot is given; give {'T1': scan, ...}")
        cuts: dict[str, Cut] = {}
        found: dict[str, Check] = {}
        for slot, source in slots.items():
            try:
                read = partial(cut_one, source, self.protocol.planes)
                cuts[slot] = yield from self.cut(read)
            except UnreadableScan as error:
                found[slot] = checks.unreadable(slot, error)
        answers = yield from self.ask(list(cuts.values()))
        for slot, answer in zip(cuts, answers, strict=True):
            found[slot] = checks.judge(answer, slot)
        return checks.upload({slot: found[slot] for slot in slots})

    def cut(self, read: Callable[[], Cut]) -> Steps[Cut]:
        """Reads and cuts one scan; one that cannot be read gets a line of audit too."""
        start = time.monotonic()
        try:
            cut: Cut = yield Work(read)
        except UnreadableScan as error:
            self._record([None], [error], start)
            raise
        return cut

    def ask(self, cuts: Sequence[Cut]) -> Steps[list[Answer]]:
        """The answers of scans that were cut, and a line of audit for each."""
        answers: list[Answer] = []
        for group in packed(cuts):
            start = time.monotonic()
            try:
                request = self.protocol.predict_request(joined(group))
                response = yield Call("PredictionService/Predict", request)
                found = self.protocol.answers(response, group)
            except MriContrastError as error:
                self._record(group, [error] * len(group), start)
                raise
            self._record(group, found, start)
            answers += found
        return answers

    def _record(
        self,
        cuts: Sequence[Cut | None],
        found: Sequence[Answer | MriContrastError],
        start: float,
    ) -> None:
        if self.audit is None:
            return
        milliseconds = round((time.monotonic() - start) * 1000, 1)
        for cut, outcome in zip(cuts, found, strict=True):
            answer = outcome if isinstance(outcome, Answer) else None
            self.audit.write(
                {
                    "content": cut and self.audit.content(cut.slices),
                    "model": self.protocol.model,
                    "model_version": answer and answer.model_version,
                    "verdict": answer and answer.contrast,
                    "probability": answer and answer.probability,
                    "latency_ms": milliseconds,
                    "error": None if answer else type(outcome).__name__,
                }
            )

    def status(self) -> Steps[tuple[VersionStatus, ...]]:
        """The versions that the server knows."""
        request = self.protocol.status_request()
        response = yield Call("ModelService/GetModelStatus", request)
        return self.protocol.statuses(response)

    def ready(self, timeout: float) -> Steps[None]:
        """Ends once the model answers."""
        end = time.monotonic() + timeout
        reason: MriContrastError | None = None
        while True:
            left = end - time.monotonic()
            try:
                response = yield Call(
                    "PredictionService/GetModelMetadata",
                    self.protocol.metadata_request(),
                    at_most=max(left, _POLL_SECONDS),
                )
                self.protocol.check_signature(response)
                return
            except (ServerUnavailable, DeadlineExceeded, ModelNotFound) as error:
                # The last try has little time: what was said before tells more.
                if reason is None or not isinstance(error, DeadlineExceeded):
                    reason = error
                if left <= _POLL_SECONDS:
                    raise reason from None
            yield Pause(_POLL_SECONDS)
