"""Shows the page of a search on loopback, and nothing else."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from tuner.dashboard.page import FILE

HOST: Final = "127.0.0.1"

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def application(page: Path) -> Starlette:
    """Returns what answers GET of `/` and of the page's name with the page.

    Any other path is 404 and any other method 405. A request by another host's name is
    refused, or a page from elsewhere could read this one by pointing its name here.
    """

    async def show(request: Request) -> Response:
        if request.method != "GET":  # a route of GET takes HEAD too
            refused = {**_HEADERS, "Allow": "GET"}
            return PlainTextResponse("only GET", 405, headers=refused)
        content = page.read_bytes()  # at once: the file is replaced at any time
        return HTMLResponse(content, headers=_HEADERS)

    return Starlette(
        routes=[Route("/", show), Route(f"/{FILE}", show)],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        ],
    )


@contextmanager
def serving(page: Path, port: int) -> Iterator[None]:
    """Serves a page while the work within goes on.

    Args:
        page: The file, read anew for each answer.
        port: Of loopback.

    Raises:
        OSError: The port is taken.
    """
    listener = listen(port, "--port")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = uvicorn.Server(
        uvicorn.Config(
            application(page),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def listen(port: int, option: str) -> socket.socket:
    """Returns a socket that listens on a port of loopback.

    Args:
        port: The port.
        option: That names another one, for the message.

    Raises:
        OSError: It is taken.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise OSError(
            f"port {port} of {HOST} cannot be had ({error.strerror}); stop what uses "
            f"it, or name another with {option}"
        ) from error
