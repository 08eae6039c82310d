"""Processes that kill themselves before one of their steps on the disk."""

import os
import signal
from collections.abc import Callable, Sequence


def run_killed(
    work: Callable[[], object], steps: Sequence[str], at: int | None
) -> bool:
    """Works in a process that kills itself before a step; tells whether it did.

    It is forked from one that has loaded what the work needs: it costs its work alone.

    Args:
        work: What is done.
        steps: Functions of `os` that count as steps.
        at: Steps that are done before; None kills nothing.
    """
    child = os.fork()
    if not child:
        if at is not None:
            _count(steps, at)
        work()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, f"the work failed: {status}"
    return killed


def _count(steps: Sequence[str], left: int) -> None:
    def wrapped(step):
        def counted(*arguments, **named):
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **named)

        return counted

    for name in steps:
        setattr(os, name, wrapped(getattr(os, name)))
