"""The connection of a `Client`: one channel a process, shared by its threads."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

from mri_contrast.transport import Transport, open_channel

_SERVICE = "/tensorflow.serving."


class Line:
    """Calls a server's methods; opened at the first call, and anew after a fork.

    A channel does not survive a fork, but until its first call a process has none: a
    server that loads the application and then forks its workers needs nothing special.
    """

    def __init__(self, target: str, transport: Transport) -> None:
        self._target, self._transport = target, transport
        self._channel: Any = None
        self._closed = False
        self.forget()
        if hasattr(os, "register_at_fork"):
            me = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _forget(me))

    def forget(self) -> None:
        """Connects anew at the next call: what there was belongs to the parent."""
        # The parent's channel is kept, never closed here: closing talks to its threads.
        self._parents_channel, self._channel = self._channel, None
        self._methods: dict[str, Callable[..., Any]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes the channel; calls under way end with an error."""
        with self._lock:
            self._closed = True
            self._methods = {}
            if self._channel is not None:
                self._channel.close()

    def call(self, method: str, request: Any, timeout: float) -> Any:
        """Calls a method such as `PredictionService/Predict` and gives its response.

        Raises:
            grpc.RpcError: there is no answer within `timeout` seconds.
            ValueError: the line is closed.
        """
        call = self._methods.get(method) or self._prepare(method, request)
        metadata = self._transport.call_metadata()
        after = self._transport.hedge_after
        if after is None or after >= timeout:
            return call(request, timeout=timeout, metadata=metadata)
        return _first_answer(
            lambda left: call.future(request, timeout=left, metadata=metadata),  # type: ignore[attr-defined]
            timeout,
            after,
        )

    def _prepare(self, method: str, request: Any) -> Callable[..., Any]:
        """Makes a method; kept, since that takes half as long as a call."""
        from mri_contrast._messages import RESPONSES

        with self._lock:
            if self._closed:
                raise ValueError("the client is closed; make a new one")
            if self._channel is None:
                self._channel = open_channel(self._target, self._transport)
            call: Callable[..., Any] = self._channel.unary_unary(
                _SERVICE + method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=RESPONSES[method].FromString,
            )
            self._methods[method] = call
            return call


def _forget(line: weakref.ref[Line]) -> None:
    found = line()
    if found is not None:
        found.forget()


def _first_answer(start: Callable[[float], Any], timeout: float, after: float) -> Any:
    """Starts a second call where the first takes long; takes the first that answers.

    Args:
        start: starts a call that may take so many seconds, and gives its future.
        timeout: seconds that both may take in all.
        after: seconds until the second is made, less than `timeout`.

    Raises:
        grpc.RpcError: both failed.
    """
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
    calls = [start(timeout)]
    calls[0].add_done_callback(ended.put)
    try:
        try:
            return ended.get(timeout=after).result()
        except queue.Empty:
            calls.append(start(timeout - after))
            calls[1].add_done_callback(ended.put)
        first = ended.get()
        return (first if first.exception() is None else ended.get()).result()
    finally:
        for call in calls:
            call.cancel()  # does nothing to one that has ended
