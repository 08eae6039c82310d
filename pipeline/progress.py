"""How long work reports itself: a bar on a terminal, plain log lines elsewhere."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import rich.console
import rich.logging
import rich.progress

PLAIN_SECONDS: Final = 10.0
"""Time between two lines where there is no terminal: a log stays readable."""

console: Final = rich.console.Console(stderr=True)

_log = logging.getLogger(__name__)


class Advance(Protocol):
    """Moves a progress report on."""

    def __call__(self, steps: int = 1, **shown: object) -> None:
        """Reports `steps` more; `shown` is displayed beside it, as `name value`."""


def log_to_console() -> None:
    """Sends log records to standard error, above the bar where there is one."""
    handler: logging.Handler = logging.StreamHandler()
    if console.is_terminal:
        handler = rich.logging.RichHandler(
            console=console, show_path=False, show_time=False
        )
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])


@contextmanager
def progress(title: str, total: int | None, unit: str) -> Iterator[Advance]:
    """Reports the progress of a piece of work while it runs.

    Args:
        title: What is being done, for example `writing shards`.
        total: Number of steps; None where it is not known.
        unit: What a step is, in the plural, for example `scans`.

    Yields:
        A function to call after each step or several.
    """
    report = _bar if console.is_terminal else _lines
    with report(title, total, unit) as advance:
        yield advance


@contextmanager
def _bar(title: str, total: int | None, unit: str) -> Iterator[Advance]:
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn(unit),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("{task.fields[shown]}"),
    )
    with rich.progress.Progress(*columns, console=console) as bars:
        task = bars.add_task(title, total=total, shown="")

        def advance(steps: int = 1, **shown: object) -> None:
            bars.update(task, advance=steps, shown=_pairs(shown))

        yield advance


@contextmanager
def _lines(title: str, total: int | None, unit: str) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = 0

    def advance(steps: int = 1, **shown: object) -> None:
        nonlocal done, last
        done += steps
        now = time.monotonic()
        if now - last < PLAIN_SECONDS and done != total:
            return
        last = now
        of_total = "" if total is None else f" of {total}"
        _log.info(
            "%s: %d%s %s in %.0f s %s",
            *(title, done, of_total, unit, now - start, _pairs(shown)),
        )

    yield advance


def _pairs(shown: dict[str, object]) -> str:
    return "  ".join(f"{name} {value}" for name, value in shown.items())
