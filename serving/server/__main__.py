"""Serves models over gRPC and REST until a signal stops it.

Where there is no model it ends with code 2 and says what to do; TF Serving would wait
for ever. SIGTERM lets the calls in flight end and exits 0, SIGINT exits 130.
"""

import logging
import os
import signal
import sys
import threading
from types import FrameType

from serving.server import call_log, ignored_flags
from serving.server.config import ServerConfig
from serving.server.config_files import read_config_files
from serving.server.errors import NothingToServeError, WrongConfigError
from serving.server.flags import parse
from serving.server.model_config import (
    read_models,
    require_labels_allowed,
    require_versions,
)

_log = logging.getLogger("serving.server")


def main() -> int:
    """Runs the server; returns its exit code."""
    config = parse()
    received: list[int] = []
    stop = threading.Event()

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, remember)
    call_log.configure(config.log_format)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for name in config.ignored_flags:
        _log.warning("--%s does nothing here: %s", name, ignored_flags.REASONS[name])
    failure = _serve(config, stop)
    if failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    return 130 if received and received[0] == signal.SIGINT else 0


def _serve(config: ServerConfig, stop: threading.Event) -> str:
    """Serves until the event is set; returns why it could not, or an empty text."""
    try:
        models = read_models(config)
        require_versions(models)
        require_labels_allowed(
            models, config.allow_version_labels_for_unavailable_models
        )
        read_config_files(config)
        names = ", ".join(sorted(model.name for model in models))
        _log.info("starting TensorFlow, then loading %s: takes some seconds", names)
        # Here, not above: TensorFlow takes seconds, finding nothing should not.
        from serving.server.embedded import EmbeddedServer

        server = EmbeddedServer(config)
        server.start()
    except (NothingToServeError, WrongConfigError, OSError) as error:
        return str(error)
    try:
        stop.wait()
    finally:
        server.stop()
    return ""


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    # A computation that outlasts the drain would hold its thread, and so the process.
    os._exit(code)
