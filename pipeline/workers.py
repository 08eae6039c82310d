"""Runs jobs in processes of their own, a few at a time, as they finish."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Final, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

_QUIET: Final = {
    # One job a core: libraries that start threads of their own would fight over them.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


def run_all(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Result]]:
    """Yields each job with its result, in the order in which they finish.

    Processes are spawned, since forking a process that runs threads can hang it. Two
    jobs a worker are handed out at a time: the memory taken does not grow with their
    number. Workers end when this process does, however it ends.

    Args:
        function: At the top of a module, so that another process finds it.
        jobs: Picklable.
        workers: Number of processes; 1 works in this one.

    Raises:
        OSError: A worker was killed.
    """
    if workers == 1 or len(jobs) < 2:
        yield from ((job, function(job)) for job in jobs)
        return
    waiting = iter(jobs)
    running: dict[Future[Result], Job] = {}
    with _quiet_children(), _pool(min(workers, len(jobs))) as pool:
        try:
            while True:
                for job in waiting:
                    running[pool.submit(function, job)] = job
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool as error:
            raise OSError(
                "a worker was killed, most likely for the memory it took; pass fewer "
                "--workers or --scans-per-job, finished work is kept"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _quiet_children() -> Iterator[None]:
    """Sets variables that libraries read on import, before an initializer could."""
    before = dict(os.environ)
    os.environ.update({**_QUIET, **before})
    try:
        yield
    finally:
        for name in _QUIET.keys() - before.keys():
            os.environ.pop(name, None)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )


def _start_worker() -> None:
    # Ctrl+C reaches the whole group: the parent decides, a worker ends its shard.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
