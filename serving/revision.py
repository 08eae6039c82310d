"""Which source something was made from."""

import subprocess
from pathlib import Path
from typing import Final

_SOURCE: Final = ("--", ":/", ":(top,exclude)bench/results.json")
"""All files but the one that measuring itself writes."""


def source_revision() -> str | None:
    """Returns the commit of this checkout, with `+changes` where files differ from it.

    Returns:
        None outside of a git checkout, as in a container.
    """
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(
            folder, "status", "--porcelain", "--untracked-files=no", *_SOURCE
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}+changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    command = ("git", "-C", str(folder), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
