"""Asks a server over gRPC which contrast a scan has."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from mri_contrast._asker import Asker, Run
from mri_contrast._jobs import Sources
from mri_contrast.answers import Answer, Result, VersionStatus
from mri_contrast.checks import Check, UploadCheck
from mri_contrast.errors import MriContrastError
from mri_contrast.scans import Source

if TYPE_CHECKING:
    from types import TracebackType

    from mri_contrast._conversation import Step, Steps

T = TypeVar("T")


class Client(Asker):
    """A connection to one model on one server; threads may share it.

    Only uint8 slices of 150 x 150 pixels leave the machine: no header, no file name.
    Every call ends within `timeout`. A process that forks may go on using it in parent
    and child; the parent must not have called yet, or `GRPC_ENABLE_FORK_SUPPORT=1` be
    set before gRPC is imported.
    """

    def _connect(self) -> None:
        from mri_contrast._line import Line

        self._line = Line(self._protocol.target, self._transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._line.close()

    def identify(self, source: Source) -> Answer:
        """Tells the contrast of the one scan that a source holds.

        Args:
            source: whatever `read_scan` takes: a path (file, folder or zip), bytes, a
                binary file object, an array, a `Scan`.

        Raises:
            UnreadableScan: the scan cannot be read or used, or there is more than one.
            ServerUnavailable, DeadlineExceeded, ModelNotFound, ClientTooOld,
            RejectedByServer: the server did not answer the question.
        """
        return self._run(self._conversation.identify(source))

    def check(self, source: Source, expected: str) -> Check:
        """Tells whether a scan may be used in a slot.

        Args:
            source: as in `identify`.
            expected: the class that the slot takes: "T1", "T2", "FLAIR" or "other";
                "t1" and "T1w" are "T1" too.

        Raises:
            ValueError: the model knows no such class.
            UnreadableScan, ServerUnavailable, DeadlineExceeded, ModelNotFound,
            ClientTooOld, RejectedByServer: as `identify`.
        """
        return self._run(self._conversation.check(source, expected))

    def check_upload(self, slots: Mapping[str, Source]) -> UploadCheck:
        """Checks the scans of one upload together, and finds those that were swapped.

        Up to 64 slices, two scans or three, go in one call.

        Args:
            slots: from what a slot expects to what is in it. A scan that cannot be read
                is "not usable" and does not stop the others.

        Raises:
            ValueError: no slot is given, or the model knows no such class.
            ServerUnavailable, DeadlineExceeded, ModelNotFound, ClientTooOld,
            RejectedByServer: as `identify`.
        """
        return self._run(self._conversation.check_upload(slots))

    def identify_many(
        self,
        sources: Sources,
        *,
        journal: str | os.PathLike[str] | None = None,
        ahead: int = 1,
    ) -> Iterator[Result]:
        """Tells the contrast of every scan in many sources, in order, as they come.

        A scan that cannot be read, or that the server refuses, becomes a result that
        says why; the rest goes on. At most `ahead` scans are in memory.

        Args:
            sources: one source or any number: what `read_scan` takes, a pattern such as
                `uploads/**/*.nii.gz`, or a CSV file with a column `file`, `path`,
                `scan` or `image`. Every series of a folder or zip gets a result.
            journal: a file that keeps what was done, on the disk before it is yielded.
                The same run started again, even after `kill -9`, yields that from the
                file and asks only about what is missing or has changed.
            ahead: scans that are read and asked about at once, while you use the last
                result; 0 reads each when its result is asked for.

        Raises:
            UnreadableScan: a CSV file that lists no scans.
            ValueError: a journal of other questions, or with sources that have no path.
            ServerUnavailable, ModelNotFound, ClientTooOld: the next scan would fail
                just the same; with a journal, nothing that was done is lost.
        """
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(max(1, ahead))
        window: deque[Future[Result]] = deque()
        with Run(self._conversation, sources, journal) as run:
            try:
                for item in run.items():
                    window.append(
                        _known(item)
                        if isinstance(item, Result)
                        else pool.submit(lambda job: self._run(run.steps(job)), item)
                    )
                    if len(window) > ahead:
                        yield run.keep(window.popleft().result())
                while window:
                    yield run.keep(window.popleft().result())
            finally:
                # Not waited for: whoever stops here would wait for a whole deadline.
                pool.shutdown(wait=False, cancel_futures=True)

    def model_status(self) -> tuple[VersionStatus, ...]:
        """Lists the versions of the model that the server knows, newest first.

        Raises:
            ServerUnavailable, DeadlineExceeded, ModelNotFound, RejectedByServer.
        """
        return self._run(self._conversation.status())

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Returns as soon as the model answers; useful right after a start.

        Args:
            timeout: seconds to wait at most.

        Raises:
            ServerUnavailable, DeadlineExceeded, ModelNotFound: still so at the end.
            ClientTooOld, RejectedByServer: at once, since waiting would not help.
        """
        self._run(self._conversation.ready(timeout))

    def _run(self, steps: Steps[T]) -> T:
        """Carries out what a conversation asks for, in this thread."""
        try:
            step = next(steps)
            while True:
                try:
                    done = self._do(step)
                except MriContrastError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(done)
        except StopIteration as end:
            result: T = end.value
            return result

    def _do(self, step: Step) -> Any:
        from mri_contrast._conversation import Call, Work

        if isinstance(step, Call):
            return self._call(step.method, step.request, step.at_most)
        if isinstance(step, Work):
            return step.run()
        time.sleep(step.seconds)
        return None

    def _call(self, method: str, request: Any, at_most: float | None = None) -> Any:
        """Calls a method of TF Serving; raises the errors that `identify` documents."""
        import grpc

        timeout = self._protocol.timeout
        try:
            return self._line.call(
                method, request, timeout if at_most is None else min(timeout, at_most)
            )
        except grpc.RpcError as error:
            raise self._protocol.error(
                error.code().name, error.details() or ""
            ) from error


def _known(result: Result) -> Future[Result]:
    done: Future[Result] = Future()
    done.set_result(result)
    return done
