"""Asks two versions about the same scans, and says how they differ.

The answer of `stable` is the one that counts; `canary` is asked beside it.
"""

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from mri_contrast import Answer, Client, MriContrastError, UnreadableScan
from mri_contrast.scans import Scan
from pipeline.evaluate.intervals import exact
from serving.paired import Ratio, ratio_of

Read = Callable[[], Scan]
"""Gives a scan when it is needed; raises UnreadableScan."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """What both versions said of one scan.

    Attributes:
        stable: The answer that counts.
        canary: The other one; None where it failed.
        seconds: What a user waits for the answer of stable: cutting, call, verdict.
        canary_seconds: The same of canary.
    """

    stable: Answer
    canary: Answer | None
    seconds: float
    canary_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """What was asked.

    Attributes:
        pairs: Scans that went to both.
        asked: Scans that stable answered, those of the pairs among them.
        unreadable: Scans that gave no slices, and went nowhere.
    """

    pairs: Sequence[Pair]
    asked: int
    unreadable: int


def send(
    scans: Iterable[tuple[Read, bool]],
    stable: Client,
    canary: Client,
    advance: Callable[[], None] = lambda: None,
) -> Traffic:
    """Sends scans to stable, and some of them to canary as well.

    Which of them is asked first alternates: what is asked second finds caches warm.

    Args:
        scans: How to read each, and whether canary is asked as well.
        stable: A client of the label `stable`.
        canary: A client of the label `canary`.
        advance: Called after each scan.

    Raises:
        MriContrastError: Stable failed: then there is nothing to compare with.
    """
    pairs: list[Pair] = []
    asked = unreadable = 0
    for read, both in scans:
        try:
            scan = read()
            if both:
                pairs.append(_ask_both(scan, stable, canary, len(pairs) % 2 == 1))
            else:
                stable.identify(scan)
            asked += 1
        except UnreadableScan:
            unreadable += 1
        advance()
    return Traffic(pairs, asked, unreadable)


def _ask_both(scan: Scan, stable: Client, canary: Client, canary_first: bool) -> Pair:
    if canary_first:
        other, other_seconds = _shadow(scan, canary)
        answer, seconds = _timed(scan, stable)
    else:
        answer, seconds = _timed(scan, stable)
        other, other_seconds = _shadow(scan, canary)
    return Pair(answer, other, seconds, other_seconds)


def _shadow(scan: Scan, canary: Client) -> tuple[Answer | None, float]:
    """Asks canary, whose failures must not reach the user."""
    try:
        return _timed(scan, canary)
    except UnreadableScan:
        raise
    except MriContrastError as error:
        _log.warning("canary failed: %s", error)
        return None, 0.0


def _timed(scan: Scan, client: Client) -> tuple[Answer, float]:
    start = time.perf_counter()
    answer = client.identify(scan)
    return answer, time.perf_counter() - start


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """How canary did beside stable.

    Attributes:
        answered: Pairs that canary answered.
        failed: Pairs that it did not.
        agreed: Answered pairs of one verdict; `unsure` is one.
        interval: Exact 95 % of the share that agrees; None of no pair.
        confusion: Pairs by (verdict of stable, verdict of canary).
        ratio: Of the times; None of no pair.
        versions: That answered: stable's, canary's.
    """

    answered: int
    failed: int
    agreed: int
    interval: tuple[float, float] | None
    confusion: Counter[tuple[str, str]]
    ratio: Ratio | None
    versions: tuple[list[int], list[int]]


def compare(pairs: Sequence[Pair]) -> Comparison:
    """Compares verdicts and times of what both answered."""
    told = [(pair.stable, pair.canary) for pair in pairs if pair.canary is not None]
    both = [pair for pair in pairs if pair.canary is not None]
    verdicts = Counter((one.contrast, other.contrast) for one, other in told)
    agreed = sum(count for (one, other), count in verdicts.items() if one == other)
    interval = exact(agreed, len(told))
    return Comparison(
        answered=len(told),
        failed=len(pairs) - len(told),
        agreed=agreed,
        interval=None if interval is None else (interval[0], interval[1]),
        confusion=verdicts,
        ratio=ratio_of([p.canary_seconds for p in both], [p.seconds for p in both])
        if both
        else None,
        versions=(
            sorted({one.model_version for one, _ in told}),
            sorted({other.model_version for _, other in told}),
        ),
    )


def against_promotion(
    found: Comparison, least_agreement: float, max_ratio: float
) -> list[str]:
    """Returns why canary should not be promoted; nothing where it may be.

    Args:
        found: The comparison.
        least_agreement: The share of verdicts that must agree, in [0, 1]: the lower
            end of its interval counts, so a few scans never suffice.
        max_ratio: The longest time, in times that of stable: here the lower end
            counts, since what noise can do is no fault of canary's.
    """
    reasons = []
    if found.failed:
        reasons.append(f"canary failed {found.failed} times where stable answered")
    if found.interval is None or found.ratio is None:
        return [*reasons, "no scan was answered by both"]
    for name, versions in zip(("stable", "canary"), found.versions, strict=True):
        if len(versions) > 1:
            reasons.append(
                f"{name} was versions {', '.join(map(str, versions))} in turn, so the "
                "figures are of no single one: ask again while no label moves"
            )
    low, high = found.interval
    if low < least_agreement:
        reasons.append(
            f"{found.agreed} of {found.answered} verdicts agree (exact 95 % interval "
            f"{low:.1%} to {high:.1%}), its lower end must reach "
            f"{least_agreement:.1%}: look at the differences, or ask about more scans"
        )
    if found.ratio.low > max_ratio:
        reasons.append(
            f"an answer takes {found.ratio.median:.2f} times as long (95 % interval "
            f"{found.ratio.low:.2f} to {found.ratio.high:.2f}), allowed: {max_ratio:g}"
        )
    return reasons
