"""The table: what is stored of every training so far, as JSON and as Markdown."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.experiments.compare import Pair, by_subject, compare, seed_interval
from pipeline.experiments.measured import Measured
from pipeline.experiments.rows import OURS, REFERENCE, ROWS, SAVE_ON_INTERRUPT, Row
from pipeline.files import replacing, write_json

REACH: Final = 0.33
"""Largest error of ours against the submitted network's, as its upper 95 % limit."""

LEAST_SLICES: Final = 20_000
LEAST_SEEDS: Final = 3

Found = Mapping[str, Mapping[int, Measured]]
"""By row and seed."""


def report(root: Path, found: Found, about: dict[str, Any]) -> str:
    """Writes `experiments.json` and `experiments.md`; returns the latter's text.

    Args:
        root: Folder of the experiments.
        found: What was measured so far; at least one network.
        about: Budget, seeds and data, for the head of both; `test_sealed` tells whether
            the test shards are of simulated scans of the sealed kind.
    """
    one = next(iter(next(iter(found.values())).values()))
    content = {
        **about,
        "test_slices": len(one.wrong),
        "test_subjects": len(np.unique(one.subjects)),
        "rows": [_row(row, found) for row in ROWS if row.name in found],
        "save_on_interrupt": SAVE_ON_INTERRUPT,
        "study.error": study_error(found, sealed=about["test_sealed"]),
    }
    write_json(root / "experiments.json", content)
    text = markdown(content)
    with replacing(root / "experiments.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def study_error(found: Found, *, sealed: bool) -> dict[str, Any]:
    """The row of `bench/results.json`: error of ours against the submitted network's.

    Its value is the upper end of the 95 % interval, subjects and seeds drawn.

    Args:
        found: What was measured so far.
        sealed: Whether the test shards are; the goal is reached on no others.
    """
    row = {"id": "study.error", "value": None, "reach": f"≤ {REACH}", "ok": False}
    pair, seeds = _pair(OURS, found)
    if pair is None:
        return row | {"detail": f"{OURS} and {REFERENCE} have no seed in common yet"}
    slices = len(found[OURS][seeds[0]].wrong)
    low, high = pair.ratio_interval
    enough = sealed and slices >= LEAST_SLICES and len(seeds) >= LEAST_SEEDS
    return row | {
        "value": _finite(high),
        "ok": enough and high <= REACH,
        "detail": (
            f"upper 95 % limit of error ÷ submitted's {_number(pair.ratio, '.3f')} "
            f"({low:.3f} to {high:.3f}), subjects and seeds drawn; p {pair.p:.2g} for "
            f"these networks; {slices} test slices ({LEAST_SLICES} needed) of shards "
            f"that are {'sealed' if sealed else 'not sealed'}; {len(seeds)} seeds "
            f"({LEAST_SEEDS} needed): {', '.join(map(str, seeds))}"
        ),
    }


def _pair(name: str, found: Found) -> tuple[Pair | None, list[int]]:
    """A row against the reference, over the seeds that both have."""
    mine, theirs = found.get(name, {}), found.get(REFERENCE, {})
    seeds = sorted(mine.keys() & theirs.keys())
    if not seeds:
        return None, seeds
    subjects = theirs[seeds[0]].subjects
    one, counts = by_subject([mine[seed].wrong for seed in seeds], subjects)
    other, _ = by_subject([theirs[seed].wrong for seed in seeds], subjects)
    return compare(one, other, counts), seeds


def _row(row: Row, found: Found) -> dict[str, Any]:
    of_seed = found[row.name]
    seeds = sorted(of_seed)
    networks = [of_seed[seed] for seed in seeds]
    trainings = [each.training for each in networks]
    errors, counts = by_subject([n.wrong for n in networks], networks[0].subjects)
    pair, _ = (None, []) if row.name == REFERENCE else _pair(row.name, found)
    content: dict[str, Any] = {
        "name": row.name,
        "what": row.what,
        "seeds": seeds,
        "parameters": trainings[0].parameters,
        "ms_per_step": float(np.median([t.ms_per_step for t in trainings])),
        "slices": [t.slices for t in trainings],
        "epochs": [t.epochs for t in trainings],
        "validation_loss": float(np.mean([t.validation_loss for t in trainings])),
        "test_loss": float(np.mean([n.loss.mean() for n in networks])),
        "error": float(errors.sum() / (len(seeds) * counts.sum())),
        "error_interval": list(seed_interval(errors, counts)),
        "errors": (errors.sum(axis=1) / counts.sum()).tolist(),
    }
    if pair is not None:
        against = dataclasses.asdict(pair)
        against["ratio_interval"] = [_finite(limit) for limit in pair.ratio_interval]
        content["against_submitted"] = against
    return content


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


_HEADINGS: Final = (
    *("row", "what", "parameters", "ms a step", "slices trained", "validation loss"),
    *("test loss", "test error", "95 %", "error ÷ submitted's", "95 %", "p"),
)


def markdown(content: dict[str, Any]) -> str:
    """Returns the table for people.

    Args:
        content: Of `experiments.json`.
    """
    result = content["study.error"]
    lines = [
        "# Experiments",
        "",
        f"{content['test_slices']} test slices of {content['test_subjects']} subjects, "
        f"{'sealed' if content['test_sealed'] else 'not sealed'}; "
        f"budget {content['scale']:g} of {content['epochs']} × 90 × 32 slices; seeds "
        f"{', '.join(map(str, content['seeds']))}. Errors are shares of slices, means "
        "over seeds; all intervals draw subjects and seeds, against the submitted "
        "network the same subjects and each side's seeds. p is of McNemar's test "
        "clustered by subject: of these trained networks, not of other trainings.",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        f"|{'---|' * len(_HEADINGS)}",
        *(_line(row) for row in content["rows"]),
        f"| save on interrupt | no training: `{content['save_on_interrupt']}` |"
        + " |" * (len(_HEADINGS) - 2),
        "",
        f"`study.error` (upper 95 % limit): {_number(result['value'], '.3f')}, goal "
        f"{result['reach']}: {'reached' if result['ok'] else 'not reached'}; "
        f"{result['detail']}.",
        "",
    ]
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    low, high = row["error_interval"]
    cells = [
        *(row["name"], row["what"], f"{row['parameters']:,}".replace(",", " ")),
        f"{row['ms_per_step']:.1f}",
        " / ".join(map(str, row["slices"])),
        *(f"{row['validation_loss']:.4f}", f"{row['test_loss']:.4f}"),
        *(f"{row['error']:.4f}", f"{low:.4f}–{high:.4f}"),
    ]
    pair = row.get("against_submitted")
    if pair is None:
        cells += ["", "", ""]
    else:
        low, high = (_number(limit, ".2f") for limit in pair["ratio_interval"])
        cells += [_number(pair["ratio"], ".2f"), f"{low}–{high}", f"{pair['p']:.2g}"]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)
