"""The client for programs that run on asyncio."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mri_contrast._asker import Asker, Run
from mri_contrast._jobs import Job, Sources
from mri_contrast.answers import Answer, Result, VersionStatus
from mri_contrast.checks import Check, UploadCheck
from mri_contrast.errors import MriContrastError
from mri_contrast.scans import Source

if TYPE_CHECKING:
    from types import TracebackType

    from mri_contrast._conversation import Step, Steps

T = TypeVar("T")


class AsyncClient(Asker):
    """`Client` for asyncio: the same questions, to be awaited; tasks may share it.

    Reading and cutting happen in threads, so that the event loop goes on meanwhile.
    """

    def _connect(self) -> None:
        from mri_contrast._async_line import AsyncLine

        self._line = AsyncLine(self._protocol.target, self._transport)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection."""
        await self._line.close()

    async def identify(self, source: Source) -> Answer:
        """As `Client.identify`."""
        return await self._run(self._conversation.identify(source))

    async def check(self, source: Source, expected: str) -> Check:
        """As `Client.check`."""
        return await self._run(self._conversation.check(source, expected))

    async def check_upload(self, slots: Mapping[str, Source]) -> UploadCheck:
        """As `Client.check_upload`."""
        return await self._run(self._conversation.check_upload(slots))

    async def identify_many(
        self,
        sources: Sources,
        *,
        journal: str | os.PathLike[str] | None = None,
        ahead: int = 1,
    ) -> AsyncIterator[Result]:
        """As `Client.identify_many`, for `async for`."""
        window: deque[asyncio.Future[Result]] = deque()
        with Run(self._conversation, sources, journal) as run:
            items = run.items()
            try:
                # None is no item: a StopIteration cannot be raised in a coroutine.
                while (item := await asyncio.to_thread(next, items, None)) is not None:
                    window.append(self._start(run, item))
                    if len(window) > ahead:
                        yield await self._kept(run, window.popleft())
                while window:
                    yield await self._kept(run, window.popleft())
            finally:
                for task in window:
                    task.cancel()

    def _start(self, run: Run, item: Job | Result) -> asyncio.Future[Result]:
        if isinstance(item, Job):
            return asyncio.ensure_future(self._run(run.steps(item)))
        known: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        known.set_result(item)
        return known

    async def _kept(self, run: Run, result: asyncio.Future[Result]) -> Result:
        return await asyncio.to_thread(run.keep, await result)

    async def model_status(self) -> tuple[VersionStatus, ...]:
        """As `Client.model_status`."""
        return await self._run(self._conversation.status())

    async def wait_until_ready(self, timeout: float = 60.0) -> None:
        """As `Client.wait_until_ready`."""
        await self._run(self._conversation.ready(timeout))

    async def _run(self, steps: Steps[T]) -> T:
        """Carries out what a conversation asks for, without holding up the loop."""
        try:
            step = next(steps)
            while True:
                try:
                    done = await self._do(step)
                except MriContrastError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(done)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _do(self, step: Step) -> Any:
        from mri_contrast._conversation import Call, Work

        if isinstance(step, Call):
            return await self._call(step.method, step.request, step.at_most)
        if isinstance(step, Work):
            return await asyncio.to_thread(step.run)
        await asyncio.sleep(step.seconds)
        return None

    async def _call(self, method: str, request: Any, at_most: float | None) -> Any:
        import grpc

        timeout = self._protocol.timeout
        try:
            return await self._line.call(
                method, request, timeout if at_most is None else min(timeout, at_most)
            )
        except grpc.RpcError as error:
            raise self._protocol.error(
                error.code().name, error.details() or ""
            ) from error
