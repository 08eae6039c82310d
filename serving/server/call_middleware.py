"""REST calls: time limit, record, metrics and log around every answer; and the metrics.

Plain ASGI around the application, so that it costs microseconds.
"""

import dataclasses
import re
from typing import Any, Final

import grpc

from serving.server.call_interceptor import Ended
from serving.server.call_record import CallRecord, recorded
from serving.server.metrics.page import CONTENT_TYPE, Metrics

_INFER: Final = re.compile(r"(?i)/v1/models/.*:(predict|classify|regress)")
_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


@dataclasses.dataclass(frozen=True, slots=True)
class CallMiddleware:
    """An ASGI application around another.

    Attributes:
        application: Answers.
        ended: Is told of every call.
        seconds: Limit of a call.
        metrics: None where nobody reads them.
        metrics_path: Where they are read.
    """

    application: Any
    ended: Ended
    seconds: float
    metrics: Metrics | None = None
    metrics_path: str | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
        elif self.metrics is not None and scope["path"] == self.metrics_path:
            await _send_page(send, self.metrics.page())
        else:
            await self._observed(scope, receive, send)

    async def _observed(self, scope: Any, receive: Any, send: Any) -> None:
        code = grpc.StatusCode.INTERNAL

        async def noted(message: Any) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = _code(message["status"])
            await send(message)

        with recorded(CallRecord(_method(scope["path"]), "REST")) as record:
            record.deadline = record.started + self.seconds
            try:
                await self.application(scope, receive, noted)
            finally:
                record.code = code
                self.ended(record)


def _method(path: str) -> str:
    if match := _INFER.fullmatch(path):
        return match[1].capitalize()
    if not path.lower().startswith("/v1/models/"):
        return "other"
    return "GetModelMetadata" if path.endswith("/metadata") else "GetModelStatus"


def _code(status: int) -> grpc.StatusCode:
    if status < 400:
        return grpc.StatusCode.OK
    return _CODES.get(status, grpc.StatusCode.UNKNOWN)


async def _send_page(send: Any, page: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", CONTENT_TYPE.encode()),
                (b"content-length", str(len(page)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": page})
