"""How the commands start and end: one configuration in, an exit code out."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from mri_contrast.errors import UnreadableScan

DONE: Final = 0
WRONG_USE: Final = 2
INTERRUPTED: Final = 130

Config = TypeVar("Config")


def run_command(
    kind: type[Config],
    work: Callable[[Config], int | None],
    *,
    prog: str,
    arguments: Sequence[str] | None = None,
    default: Callable[[Sequence[str]], Config] | None = None,
) -> int:
    """Parses the command line into a configuration, works, and reports the end.

    Bad input ends with one line on standard error that says what to do.

    Args:
        kind: The configuration's dataclass; its docstring is the help text.
        work: Gets the configuration; returns an exit code, or None for 0.
        prog: The command as the user types it.
        arguments: The command line; the process's own where it is None.
        default: Chooses what options change by looking at the command line; the
            dataclass's own defaults where it is None.

    Returns:
        0 done, 2 wrong use or unreadable input, 130 interrupted.
    """
    import tyro

    from pipeline.processes import ENDS_WITH_INPUT, end_with_parent
    from pipeline.progress import log_to_console

    log_to_console()
    # Taken away: what this process starts has inputs of its own.
    if os.environ.pop(ENDS_WITH_INPUT, None):
        end_with_parent()
    try:
        words = sys.argv[1:] if arguments is None else arguments
        if default is None:
            return work(tyro.cli(kind, prog=prog, args=words)) or DONE
        chosen = tyro.cli(kind, prog=prog, args=words, default=default(words))
        return work(chosen) or DONE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_USE


@contextlib.contextmanager
def naming(scan: Path) -> Iterator[None]:
    """Puts a scan's path before what is wrong with it: readers never tell it.

    Raises:
        UnreadableScan: Whatever was raised within, with the path.
    """
    try:
        yield
    except UnreadableScan as error:
        raise UnreadableScan(f"{scan}: {error}") from error
