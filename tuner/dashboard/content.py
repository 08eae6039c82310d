"""What the page of a search shows: columns of figures, short enough for thousands."""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tuner.dashboard.importance import BUDGET, importance
from tuner.trials import FILE, Trial, learning_curve, load_trials

MOST_POINTS: Final = 60
"""Of a learning curve; of longer ones every n-th epoch and the last are kept."""

_FIELDS: Final = (
    *("name", "status", "score", "accuracy", "milliseconds", "parameters", "epochs"),
    *("seconds", "memory_mib", "worker", "started", "message"),
)


def content(search: Path) -> dict[str, Any]:
    """Reads what is known of a search.

    Returns:
        What JSON holds: `name`, `written` and `changed` in seconds since 1970,
        `planned` trials or None, `fields` and `values` (of hyper-parameters), each a
        list over the trials by name, `curves` of `[epoch, validation loss]`, and
        `importance`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: A file is none of a trial.
    """
    if not search.is_dir():
        raise FileNotFoundError(
            f"there is no search in {search}; `make tune` starts one"
        )
    trials = load_trials(search)
    names = sorted({name for trial in trials for name in trial.values})
    told = importance(trials)
    return {
        "name": search.name,
        "written": round(time.time()),
        "changed": round(changed(search)),
        "planned": _planned(search),
        "fields": {
            field: [_short(getattr(trial, field)) for trial in trials]
            for field in _FIELDS
        },
        "values": {
            name: [_short(trial.values.get(name)) for trial in trials] for name in names
        },
        "curves": [_curve(search, trial) for trial in trials],
        "importance": {
            "trials": told.trials,
            "explained": _short(told.explained),
            "rows": [[name, _short(mean), _short(s)] for name, mean, s in told.rows],
            "note": told.note,
            "budget": BUDGET,
        },
    }


def changed(search: Path) -> float:
    """Returns when a file of a trial last changed, in seconds since 1970."""
    found = [
        path.stat().st_mtime
        for pattern in (FILE, "metrics.jsonl")
        for path in search.glob(f"trial-*/{pattern}")
    ]
    return max(found, default=search.stat().st_mtime)


def _planned(search: Path) -> int | None:
    path = search / "config.json"
    if not path.is_file():
        return None
    trials = json.loads(path.read_text()).get("trials")
    return trials if isinstance(trials, int) else None


def _curve(search: Path, trial: Trial) -> list[list[Any]]:
    lines = learning_curve(search, trial.name)
    losses = [_short(line.get("validation_loss")) for line in lines]
    points = [[epoch, loss] for epoch, loss in enumerate(losses, 1) if loss is not None]
    step = math.ceil(len(points) / MOST_POINTS)
    return points if step <= 1 else _thinned(points, step)


def _thinned(points: Sequence[list[Any]], step: int) -> list[list[Any]]:
    kept = list(points[::step])
    return kept if kept[-1] is points[-1] else [*kept, points[-1]]


def _short(value: Any) -> Any:
    """A number with five digits, or None where JSON has none for it."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    # A time since 1970 needs its seconds.
    return round(value) if abs(value) >= 1e5 else float(f"{value:.5g}")
