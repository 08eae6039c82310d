"""Real scans: whole files, read and cut as a user's, counted one by one."""

import csv
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import Scan
from mri_contrast.slices import cut
from mri_contrast.verdict import UNSURE, Verdict
from pipeline.answering import Answerer
from pipeline.contrasts import ACCEPTED
from pipeline.evaluate.intervals import Resamples, exact
from pipeline.evaluate.orientations import TURNS, turned
from pipeline.labelled import LabelledScan
from pipeline.progress import progress
from pipeline.sources import find_scans

MANIFEST = "manifest.csv"

REFUSED: Final = "refused"
"""What is said of a file that gave no slices."""


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A real scan and what was said of it.

    Attributes:
        scan: Where it is and what it is.
        label: Its label as written, such as `T1c` or `DWI`; the class where none is.
        verdict: None where it gave no slices.
        turned: Verdicts on it turned in the 23 other ways; empty where not asked for.
    """

    scan: LabelledScan
    label: str
    verdict: Verdict | None
    turned: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The verdict's word, or `refused`."""
        return REFUSED if self.verdict is None else self.verdict.contrast

    @property
    def right(self) -> bool:
        """Whether the verdict is the true class; `unsure` and `refused` are not."""
        return self.said == self.scan.contrast

    @property
    def likeliest(self) -> str:
        """The most probable class, sure or not; `refused` where there is none."""
        if self.verdict is None:
            return REFUSED
        shares = self.verdict.probabilities
        return max(shares, key=shares.__getitem__)


def real_scans(root: Path) -> list[LabelledScan]:
    """Lists labelled real scans: a folder's `manifest.csv` goes before its layout."""
    listed = root / MANIFEST
    return find_scans(listed if listed.is_file() else root, required=())


def judge_files(
    root: Path, answerer: Answerer, *, orientations: bool = False
) -> list[Judged]:
    """Identifies every labelled scan of a folder or CSV file.

    Args:
        root: As `real_scans` takes it.
        answerer: What answers.
        orientations: Turned in the 23 other ways, too.

    Raises:
        ValueError: None of them gave slices.
    """
    scans = real_scans(root)
    labels = _written_labels(root)
    judged = []
    with progress("real scans", len(scans), "scans") as advance:
        for scan in scans:
            label = labels.get(scan.name, scan.contrast)
            judged.append(_judge(scan, label, answerer, orientations))
            advance()
    if all(one.verdict is None for one in judged):
        raise ValueError(f"none of the {len(scans)} scans in {root} could be read")
    return judged


def _judge(
    scan: LabelledScan, label: str, answerer: Answerer, orientations: bool
) -> Judged:
    def verdict_on(voxels: Scan) -> Verdict:
        return answerer.verdict(answerer.log_probabilities(cut(voxels)))

    try:
        read = scan.read()
        verdict = verdict_on(read)
    except UnreadableScan:
        return Judged(scan, label, None)
    ways = TURNS[1:] if orientations else ()  # The first is the file as it is.
    said = tuple(verdict_on(turned(read, way)).contrast for way in ways)
    return Judged(scan, label, verdict, said)


def _written_labels(root: Path) -> dict[str, str]:
    """Labels of a CSV file by path, before classes were made of them."""
    table = root / MANIFEST if root.is_dir() else root
    if not table.is_file() or table.suffix != ".csv":
        return {}
    with table.open(newline="", encoding="utf-8-sig") as file:
        return {
            row["path"].strip(): row["label"].strip() for row in csv.DictReader(file)
        }


def summary(judged: Sequence[Judged], classes: Sequence[str]) -> dict[str, Any]:
    """Counts real scans; every interval is Clopper and Pearson's.

    Args:
        judged: One of them gave slices, at least.
        classes: The model's classes, in order.

    Returns:
        `count` gave slices, `refused` did not. `mean_verdict_accuracy` is the mean
        over T1, T2 and FLAIR of the share of right verdicts, where `unsure` and a
        refusal count as wrong, `mean_accuracy` the same of the likeliest class; None
        where there is no such scan. `by_class`, `by_label` and `by_source` count
        refused T1, T2 and FLAIR too, and have their number as `refused`.
        `out_of_class` counts files that are none of these three, gave slices and were
        not accepted as one. `accuracy`, `coverage` and `confusion`, which counts
        verdicts (columns, `unsure` last) by true class, are of what gave slices.
        `mistakes` lists every one of those whose verdict is not its class.
    """
    told = [one for one in judged if one.verdict is not None]
    # A reader that refuses a brain fails its user; one that refuses a CT need not.
    due = [one for one in judged if one.verdict or one.scan.contrast in ACCEPTED]
    strange = [one for one in told if one.scan.contrast not in ACCEPTED]
    accepted = [one for one in told if one.said != UNSURE]
    sure_right = sum(one.right for one in accepted)
    return {
        "count": len(told),
        "refused": len(judged) - len(told),
        "refused_scans": [one.scan.name for one in judged if one.verdict is None],
        "accuracy": float(
            np.mean([one.likeliest == one.scan.contrast for one in told])
        ),
        "mean_accuracy": _mean_over_classes(
            (one.scan.contrast, one.likeliest == one.scan.contrast) for one in due
        ),
        "mean_verdict_accuracy": _mean_over_classes(
            (one.scan.contrast, one.right) for one in due
        ),
        "coverage": len(accepted) / len(told),
        "accepted_accuracy": sure_right / len(accepted) if accepted else None,
        "out_of_class": counted(one.said not in ACCEPTED for one in strange),
        "confusion": _confusion(told, classes),
        "by_class": _apart(due, lambda one: one.scan.contrast, classes),
        "by_label": _apart(due, lambda one: one.label),
        "by_source": _apart(due, lambda one: one.scan.source),
        "mistakes": [_mistake(one) for one in told if not one.right],
        "orientations": _orientations(told),
    }


def counted(right: Iterable[bool]) -> dict[str, Any]:
    """`right` of `count`, their `share` (None of none) and its exact interval."""
    cases = list(right)
    hits, count = sum(cases), len(cases)
    return {
        "right": hits,
        "count": count,
        "share": hits / count if count else None,
        "exact": exact(hits, count),
    }


def _apart(
    judged: Sequence[Judged],
    group_of: Callable[[Judged], str],
    order: Sequence[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Right verdicts of each group that occurs, and how many of it were refused."""
    names = {group_of(one) for one in judged}
    groups = {
        name: [one for one in judged if group_of(one) == name]
        for name in order or sorted(names)
        if name in names
    }
    return {
        name: {
            **counted(one.right for one in group),
            REFUSED: sum(one.verdict is None for one in group),
        }
        for name, group in groups.items()
    }


def _mean_over_classes(cases: Iterable[tuple[str, bool]]) -> float | None:
    """Share of right ones, averaged over those of T1, T2 and FLAIR that occur."""
    right, all_of = Counter[str](), Counter[str]()
    for name, hit in cases:
        right[name] += hit
        all_of[name] += 1
    shares = [right[name] / all_of[name] for name in ACCEPTED if all_of[name]]
    return float(np.mean(shares)) if shares else None


def _confusion(told: Sequence[Judged], classes: Sequence[str]) -> list[list[int]]:
    pairs = Counter((one.scan.contrast, one.said) for one in told)
    return [[pairs[truth, said] for said in (*classes, UNSURE)] for truth in classes]


def _mistake(one: Judged) -> dict[str, Any]:
    assert one.verdict is not None
    return {
        "scan": one.scan.name,
        "label": one.label,
        "class": one.scan.contrast,
        "verdict": one.said,
        "probabilities": one.verdict.probabilities,
    }


def _orientations(told: Sequence[Judged]) -> dict[str, Any] | None:
    """How often a turned scan keeps its verdict; None where none was turned.

    Returns:
        `kept` of `cases` verdicts, their `share` and its `interval`, whole scans drawn
        anew, for the ways to turn one scan stand and fall together; `scans` counts
        those that keep it in every way.
    """
    turned_ones = [one for one in told if one.turned]
    if not turned_ones:
        return None
    kept = np.array([said == one.said for one in turned_ones for said in one.turned])
    scans = np.repeat(np.arange(len(turned_ones)), [len(o.turned) for o in turned_ones])
    return {
        "ways": len(TURNS) - 1,
        "kept": int(kept.sum()),
        "cases": len(kept),
        "share": float(kept.mean()),
        "interval": Resamples.of(scans.astype(str)).of_mean(kept),
        "scans": counted(set(one.turned) == {one.said} for one in turned_ones),
        "changed": {
            one.scan.name: dict(Counter(one.turned))
            for one in turned_ones
            if set(one.turned) != {one.said}
        },
    }
