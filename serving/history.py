"""`registry.jsonl`: who published, refused, promoted, rolled back or pruned what, why.

Lines are appended and never changed. One that a crash left unfinished is passed over.
"""

import datetime
import getpass
import json
import os
from pathlib import Path
from typing import Any, Final

from serving import durable

FILE: Final = "registry.jsonl"


def entries(root: Path, model: str) -> list[dict[str, Any]]:
    """Returns the entries of a model, oldest first."""
    path = root / FILE
    if not path.is_file():
        return []
    found = map(_entry, path.read_text(errors="replace").splitlines())
    return [entry for entry in found if entry and entry["model"] == model]


def record(root: Path, model: str, action: str, **what: Any) -> None:
    """Appends an entry, with the time and the user; the caller holds the lock."""
    entry = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "user": _user(),
        "model": model,
        "action": action,
        **what,
    }
    durable.append(root / FILE, json.dumps(entry))


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a numeric user without a name, as in containers
        return str(os.getuid())
