"""How the commands of this folder end: with an exit code and one line that says why."""

import sys
from typing import Any

import tyro

WRONG_USE = 2
GATE_REFUSED = 3
INTERRUPTED = 130


class RefusalError(Exception):
    """What was asked cannot be done; the message is one line that says what to do."""

    code = WRONG_USE


def run_command(command: Any, *, prog: str, describe: str | None) -> None:
    """Parses the command line into a callable dataclass, calls it, exits.

    Args:
        command: The dataclass, or a union of them for subcommands.
        prog: The command as the user types it.
        describe: Shown by `--help`.
    """
    parsed = tyro.cli(command, prog=prog, description=describe)
    try:
        parsed()
    except (RefusalError, FileNotFoundError) as refused:
        print(f"error: {refused}", file=sys.stderr)
        sys.exit(getattr(refused, "code", WRONG_USE))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
