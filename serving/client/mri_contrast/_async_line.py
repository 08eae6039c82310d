"""The connection of an `AsyncClient`: one channel an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from mri_contrast.transport import Transport, open_async_channel

_SERVICE = "/tensorflow.serving."


class AsyncLine:
    """Calls a server's methods; opened at the first call in each loop and process."""

    def __init__(self, target: str, transport: Transport) -> None:
        self._target, self._transport = target, transport
        self._channel: Any = None
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._methods: dict[str, Callable[..., Any]] = {}
        self._closed = False

    async def close(self) -> None:
        """Closes the channel; calls under way end with an error."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def call(self, method: str, request: Any, timeout: float) -> Any:
        """Calls a method such as `PredictionService/Predict` and gives its response.

        Raises:
            grpc.RpcError: there is no answer within `timeout` seconds.
            ValueError: the line is closed.
        """
        call = self._prepare(method, request)
        metadata = self._transport.call_metadata()
        after = self._transport.hedge_after
        if after is None or after >= timeout:
            return await call(request, timeout=timeout, metadata=metadata)

        async def start(left: float) -> Any:
            return await call(request, timeout=left, metadata=metadata)

        return await _first_answer(start, timeout, after)

    def _prepare(self, method: str, request: Any) -> Callable[..., Any]:
        from mri_contrast._messages import RESPONSES

        if self._closed:
            raise ValueError("the client is closed; make a new one")
        home = (os.getpid(), asyncio.get_running_loop())
        if home != self._home:  # a channel belongs to the loop that it was made in
            self._channel = open_async_channel(self._target, self._transport)
            self._home, self._methods = home, {}
        if method not in self._methods:
            self._methods[method] = self._channel.unary_unary(
                _SERVICE + method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=RESPONSES[method].FromString,
            )
        return self._methods[method]


async def _first_answer(
    start: Callable[[float], Any], timeout: float, after: float
) -> Any:
    """Starts a second call where the first takes long; takes the first answer."""
    calls = [asyncio.ensure_future(start(timeout))]
    try:
        await asyncio.wait(calls, timeout=after)
        if not calls[0].done():
            calls.append(asyncio.ensure_future(start(timeout - after)))
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        done = [call for call in calls if call.done()]
        good = [call for call in done if call.exception() is None]
        rest = [call for call in calls if call not in done]
        return await (good or rest or done)[0]
    finally:
        for call in calls:
            call.cancel()
