"""gRPC calls: deadline, record, metrics and log around every answer."""

from collections.abc import Callable
from typing import Any, Final

import grpc

from serving.server.call_record import CallRecord, recorded

Ended = Callable[[CallRecord], None]
"""Is told of every call that has ended."""

_OURS: Final = "/tensorflow.serving."
"""Health checks and reflection are not counted: probes would drown the rest."""

_FOR_EVER: Final = 366 * 24 * 3600.0
"""Seconds; a client without a deadline has some 9e18 left."""


class CallInterceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    """Puts a record around the calls of TF Serving's services."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Wraps the handler of a call."""
        handler = continuation(details)
        if handler is None or not details.method.startswith(_OURS):
            return handler
        method = details.method.rpartition("/")[2]

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            with recorded(CallRecord(method, "GRPC")) as record:
                left = context.time_remaining()
                if left is not None and left < _FOR_EVER:
                    record.deadline = record.started + left
                try:
                    return _in_time(handler.unary_unary, request, context)
                except Exception:
                    record.code = context.code() or grpc.StatusCode.UNKNOWN
                    raise
                finally:
                    self._ended(record)

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


def _in_time(behaviour: Any, request: Any, context: grpc.ServicerContext) -> Any:
    # It may have waited for a thread until nobody waited for it.
    left = context.time_remaining()
    if left is not None and left <= 0:
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded")
    return behaviour(request, context)
