"""Cuts all scans of a build, or finds what its parts have cut."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.progress import progress
from pipeline.shards.jobs import PARTS, Cut, Job, current, cut
from pipeline.shards.planning import ShardsConfig
from pipeline.workers import run_all

REJECTED: Final = "rejected.csv"

_NAMED: Final = 5
"""So many of what is missing are named."""

_log = logging.getLogger(__name__)


def cut_all(
    jobs: Sequence[Job], config: ShardsConfig, total: int, cuts: dict[str, Cut]
) -> set[str]:
    """Cuts what is not cut yet.

    Args:
        jobs: What to cut.
        config: Workers, and how many scans may be rejected.
        total: Number of scans in the whole source.
        cuts: Known cuts by name of the job; gets those of `jobs`.

    Returns:
        The names of those that were written just now.

    Raises:
        ValueError: More scans could not be used than `max_rejected`.
    """
    written: set[str] = set()
    rejected = sum(len(known.rejected) for known in cuts.values())
    scans = sum(len(job.scans) for job in jobs)
    with progress("cutting", scans, "scans") as advance:
        for job, (made, new) in run_all(cut, jobs, config.workers):
            cuts[job.name] = made
            if new:
                written.add(job.name)
            rejected += len(made.rejected)
            advance(len(job.scans), rejected=rejected)
            _check_rejected(rejected, config, total, cuts)
    if len(written) < len(jobs):
        _log.info("%d of %d cuts were known", len(jobs) - len(written), len(jobs))
    return written


def find_cuts(
    jobs: Sequence[Job], config: ShardsConfig, total: int, cuts: dict[str, Cut]
) -> set[str]:
    """Finds what the parts of a build have cut; cuts nothing.

    Args:
        jobs: What must have been cut.
        config: Workers, and how many scans may be rejected.
        total: Number of scans in the whole source.
        cuts: Known cuts by name of the job; gets those of `jobs`.

    Returns:
        Nothing was written just now: the empty set.

    Raises:
        ValueError: Cuts are missing, or too many scans could not be used.
    """
    missing: list[Job] = []
    with progress("looking for cuts", len(jobs), "cuts") as advance:
        for job, found in run_all(current, jobs, config.workers):
            if found is None:
                missing.append(job)
            else:
                cuts[job.name] = found
            advance(missing=len(missing))
    if missing:
        missing.sort(key=lambda job: job.number)
        raise ValueError(_missing(missing, cuts))
    rejected = sum(len(known.rejected) for known in cuts.values())
    _check_rejected(rejected, config, total, cuts)
    return set()


def _missing(missing: Sequence[Job], cuts: Mapping[str, Cut]) -> str:
    """Says which cuts are missing and how to make them."""
    counts = {known.part.split("/")[1] for known in cuts.values() if known.part}
    remedy = "cut them with --part i/n, or build without --merge"
    if len(counts) == 1:
        count = int(counts.pop())
        parts = sorted({job.number % count for job in missing})
        remedy = f"run {_some([f'--part {part}/{count}' for part in parts])}"
    names = _some([job.name for job in missing])
    return f"{len(missing)} cuts are missing or outdated: {names}; {remedy}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check_rejected(
    rejected: int, config: ShardsConfig, total: int, cuts: Mapping[str, Cut]
) -> None:
    if rejected <= config.max_rejected * total:
        return
    name, reason = next(row for known in cuts.values() for row in known.rejected)
    seen = sum(
        sum(known.scans.values()) + len(known.rejected) for known in cuts.values()
    )
    rows = config.out / REJECTED if config.part is None else config.out / PARTS
    raise ValueError(
        f"{rejected} of the first {seen} scans cannot be used, more than "
        f"{config.max_rejected:.0%} of all {total}; first {name}: {reason}; "
        f"{rows} has those found so far; repair or remove them, or "
        "raise --max-rejected"
    )
