"""One line of log for each call, and how lines look: plain text or JSON.

Nothing of what a client sends is logged: no tensor, no path, no name but those of
models and signatures that are served.
"""

import datetime
import json
import logging
import sys
from typing import Final

import grpc

from serving.server.call_record import CallRecord

FORMATS: Final = ("auto", "plain", "json")

_log = logging.getLogger(__name__)

_FIELDS: Final = "call"
"""Attribute of a log record that holds a call's fields."""


def log_call(record: CallRecord) -> None:
    """Logs a call that has ended: as a warning where the server is at fault."""
    level = logging.WARNING if record.code in _OURS else logging.INFO
    if not _log.isEnabledFor(level):
        return
    fields = {
        "method": record.method,
        "entrypoint": record.entrypoint,
        "model": record.model,
        "version": record.version,
        "signature": record.signature,
        "code": record.code.name,
        "milliseconds": round(1000 * record.seconds, 3),
        "examples": record.examples,
    }
    _log.log(level, "call", extra={_FIELDS: fields})


_OURS: Final = (
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
)


def configure(choice: str) -> None:
    """Sends the log to standard error.

    Args:
        choice: `plain`, `json`, or `auto`: plain on a terminal.
    """
    plain = choice == "plain" or (choice == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter() if plain else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class PlainFormatter(logging.Formatter):
    """Time, level, message; a call's fields as `name=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Writes one line, and the traceback below it where there is one."""
        line = super().format(record)
        fields = getattr(record, _FIELDS, {})
        given = (f"{name}={value}" for name, value in fields.items() if value != "")
        return " ".join([line, *given])


class JsonFormatter(logging.Formatter):
    """One JSON object a line; a call's fields beside time, level and message."""

    def format(self, record: logging.LogRecord) -> str:
        """Writes one line, the traceback inside it."""
        when = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
