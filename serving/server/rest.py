"""REST as TF Serving speaks it: HTTP around `rest_api`."""

import asyncio
import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Final

import grpc
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.server import call_record, rest_api
from serving.server.errors import ServingError
from serving.server.manager import Models
from serving.server.rest_encoding import (
    MOST_BYTES,
    BodyTooLargeError,
    is_gzip_accepted,
    unzipped,
    zipped,
)

_log = logging.getLogger(__name__)

_HTTP: Final = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""`http_server.cc`; every other code is a 500."""

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


def application(models: Models, cors: bool = False) -> Starlette:
    """Returns the ASGI application that answers for the models.

    Args:
        models: Who answers.
        cors: Lets pages of any web site ask.
    """

    async def answer(request: Request) -> Response:
        try:
            body = await _received(request)
        except BodyTooLargeError as error:
            return _refused(413, str(error))
        except (TimeoutError, ServingError):
            return _refused(408, "the body did not arrive in time")
        status, content, headers = await run_in_threadpool(
            _answer, models, request, body
        )
        if cors:
            headers = {**headers, **_CORS}
        return Response(content, status, headers, "application/json")

    everything = Route("/{path:path}", answer, methods=_METHODS)
    return Starlette(routes=[everything])


async def _received(request: Request) -> bytes:
    """Returns the body as it was sent.

    Raises:
        BodyTooLargeError: It is larger than any that is answered.
        TimeoutError: The call's time is over before it is there.
    """
    body = bytearray()
    deadline = call_record.deadline()
    left = None if deadline is None else deadline - time.monotonic()
    async with asyncio.timeout(left):
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise BodyTooLargeError(f"the body is larger than {MOST_BYTES} bytes")
    return bytes(body)


def _refused(status: int, text: str) -> Response:
    """An answer to a body of which the rest is not read: the connection ends."""
    return Response(_error(text), status, {"Connection": "close"}, "application/json")


def _answer(
    models: Models, request: Request, body: bytes
) -> tuple[int, bytes, Mapping[str, str]]:
    """Returns status, body and headers of the answer."""
    try:
        status, text = 200, _text(models, request, body)
    except ServingError as error:
        status, text = _HTTP.get(error.code, 500), _error(error.text)
    except BodyTooLargeError as error:
        status, text = 413, _error(str(error))
    except Exception:  # its text may hold what was sent
        _log.exception("a REST request failed")
        status, text = 500, _error("the server failed, see its log")
    content = text.encode()
    if is_gzip_accepted(request.headers.get("accept-encoding", "")) and (
        smaller := zipped(content)
    ):
        return status, smaller, {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return status, content, {"Vary": "Accept-Encoding"}


def _text(models: Models, request: Request, body: bytes) -> str:
    method = "GET" if request.method == "HEAD" else request.method
    # As it was sent: a name may hold a slash or colon behind percent signs.
    path = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
    if not path.lower().startswith("/v1/"):
        raise ServingError(grpc.StatusCode.NOT_FOUND, f"Not found: {path}")
    if method == "OPTIONS":
        if not re.match("https?://", request.headers.get("origin", "")):
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Origin header is missing in CORS preflight",
            )
        return ""
    encoding = request.headers.get("content-encoding", "")
    return rest_api.answer(models, method, path, unzipped(body, encoding))


def _error(text: str) -> str:
    return json.dumps({"error": text})
