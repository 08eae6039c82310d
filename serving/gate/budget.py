"""Whether a version is small enough, and fast enough beside the stable one."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from mri_contrast.slices import SIZE
from pipeline.answering import Answerer
from serving.gate.rules import Rules
from serving.inspecting import size_of
from serving.paired import Ratio, ratio_of

SLICES: Final = 24
"""Of a volume, at most: what is asked for at a time."""

PAIRS: Final = 25
_WARM: Final = 3


def check_size(model: Path, rules: Rules) -> tuple[dict[str, Any], list[str]]:
    """Weighs a version.

    Returns:
        The evidence, and why it is too large.
    """
    size = size_of(model)
    reasons = []
    if size > rules.max_bytes:
        reasons.append(
            f"it has {size} bytes, allowed are {rules.max_bytes} (--max-bytes)"
        )
    return {"bytes": size, "max_bytes": rules.max_bytes}, reasons


def check_time(
    new: Answerer, stable: Answerer, rules: Rules
) -> tuple[dict[str, Any], list[str]]:
    """Times a version beside the stable one.

    Returns:
        The evidence, and why it is too slow.
    """
    mine, theirs = _in_turns(new, stable)
    ratio = ratio_of(mine, theirs)
    evidence = {
        "milliseconds_per_slice": round(float(np.median(mine)), 4),
        "stable_milliseconds_per_slice": round(float(np.median(theirs)), 4),
        "ratio": round(ratio.median, 3),
        "ratio_interval": [round(ratio.low, 3), round(ratio.high, 3)],
        "pairs": ratio.pairs,
        "max_ratio": rules.max_ratio,
    }
    return evidence, too_slow(ratio, rules.max_ratio)


def too_slow(ratio: Ratio, allowed: float) -> list[str]:
    """Returns why the time per slice is refused; nothing within what noise can do."""
    if ratio.low <= allowed:
        return []
    return [
        f"a slice takes {ratio.median:.2f} times as long as with stable (95 % interval "
        f"{ratio.low:.2f} to {ratio.high:.2f}, {ratio.pairs} pairs), allowed is "
        f"{allowed:g} (--max-ratio)"
    ]


def _in_turns(one: Answerer, other: Answerer) -> tuple[list[float], list[float]]:
    """Milliseconds a slice of both, asked in turns, each going first as often."""
    slices = np.zeros((SLICES, SIZE, SIZE), np.uint8)

    def ask(answerer: Answerer) -> float:
        return _milliseconds(lambda: answerer.log_probabilities(slices)) / SLICES

    mine, theirs = [], []
    for turn in range(_WARM + PAIRS):
        if turn % 2:
            mine.append(ask(one))
            theirs.append(ask(other))
        else:
            theirs.append(ask(other))
            mine.append(ask(one))
    return mine[_WARM:], theirs[_WARM:]


def _milliseconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000
