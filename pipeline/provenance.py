"""What a run was made with: command, hours, machines and data, for the model card.

config.json      all settings, the command as typed, how the data were made
machines.json    every machine that trained: a run may go on elsewhere
metrics.jsonl    the seconds that each epoch took, those before a stop included
"""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any, Final

from pipeline.files import write_json
from pipeline.machine import accelerators, machine
from pipeline.manifest import Manifest

MACHINES: Final = "machines.json"

_PACKAGES: Final = ("pipeline.", "tuner.", "bench.")


STARTED_BY: Final = "MRI_STARTED_BY"
"""Variable with the command that started this process to do a part of its work."""


def command_line() -> str | None:
    """Returns the command as it was typed; None where no command of ours was."""
    if typed := os.environ.get(STARTED_BY):
        return typed
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = "" if spec is None else str(spec.name).removesuffix(".__main__")
    if not name.startswith(_PACKAGES):
        return None
    return shlex.join(["python", "-m", name, *sys.argv[1:]])


def about_data(manifest: Manifest) -> dict[str, Any]:
    """Returns how shards were made and what they hold, for `config.json`."""
    return {
        "config": manifest.config,
        "slicer": manifest.slicer,
        "subjects": manifest.subjects,
        "scans": manifest.scans,
        "slices": manifest.slices,
        "rejected": manifest.rejected,
    }


def note_machine(run: Path) -> None:
    """Adds this machine to those that trained a run, once."""
    here = {**machine(), "accelerators": accelerators()}
    known = _read(run / MACHINES, [])
    if here not in known:
        write_json(run / MACHINES, [*known, here])


def made_with(run: Path) -> dict[str, Any]:
    """Tells how a run was trained, as far as its folder says.

    Args:
        run: Its folder.

    Returns:
        `command` (of every path its last name alone, as of the preset's file: folders
        may name persons or places), `hours` and `epochs` trained, `machines`, `seeds`,
        `settings` and `data`; None where the run is of a version that did not note it.
    """
    config = _read(run / "config.json", {})
    seconds = [
        json.loads(line).get("seconds") for line in _lines(run / "metrics.jsonl")
    ]
    timed = seconds and None not in seconds
    data = config.pop("data", None)
    if "preset" in config:  # it may be a file
        config["preset"] = Path(config["preset"]).name
    apart = ("classes", "manifest_sha256", "hyper", "command", "shards", "run")
    return {
        "command": _without_folders(config.get("command")),
        "hours": round(sum(seconds) / 3600, 3) if timed else None,
        "epochs": len(seconds),
        "machines": _read(run / MACHINES, None),
        "seeds": {
            "training": config.get("seed"),
            "data": None if data is None else data["config"].get("seed"),
        },
        "settings": {
            name: value for name, value in config.items() if name not in apart
        },
        "data": data,
    }


def _without_folders(command: str | None) -> str | None:
    """A command with `/home/me/shards` as `shards`, also behind `--option=`."""
    if command is None:
        return None
    words = []
    for word in shlex.split(command):
        option, equals, value = word.partition("=")
        if not option.startswith("-"):
            option, equals, value = "", "", word
        words.append(f"{option}{equals}{Path(value).name if '/' in value else value}")
    return shlex.join(words)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _read(path: Path, missing: Any) -> Any:
    return json.loads(path.read_text()) if path.is_file() else missing
