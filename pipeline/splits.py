"""Deals subjects out to training, validation and test, so that none is in two."""

import dataclasses
import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.contrasts import CLASSES
from pipeline.labelled import LabelledScan

SPLITS: Final = ("train", "validation", "test")

_NEEDED_BY: Final = {
    "validation": "training will refuse these shards",
    "test": "evaluation on it will be refused",
}

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class SplitConfig:
    """How subjects are dealt out.

    Attributes:
        seed: Another seed deals other subjects to the splits.
        validation: Share of the subjects of each class, in [0, 1).
        test: Share of the subjects of each class, in [0, 1).
        allow_leak: Keep given splits that share subjects. Scores on them flatter
            the network, since it has seen those people.
    """

    seed: int = 0
    validation: float = 0.1
    test: float = 0.1
    allow_leak: bool = False

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation} and test {self.test} leave nothing to "
                "train on; let their sum stay below 1"
            )


def split_scans(
    scans: Sequence[LabelledScan], config: SplitConfig
) -> dict[str, list[LabelledScan]]:
    """Assigns every scan to a split; all scans of a subject go to the same one.

    Splits that the source fixes are kept; a source of test scans alone, such as sealed
    simulated ones, gives no other split. Where it fixes a training split but no
    validation or no test, the missing one is taken from the training subjects.

    Args:
        scans: All scans of a source.
        config: Shares and seed.

    Returns:
        The scans of `train`, `validation` and `test`, each in the order of `scans`.

    Raises:
        ValueError: Given splits share subjects and `allow_leak` is off, or some scans
            have a split and others none.
    """
    splits: dict[str, list[LabelledScan]] = {name: [] for name in SPLITS}
    for scan in scans:
        splits[scan.split or "train"].append(scan)
    given = {scan.split for scan in scans}
    if len(given) > 1 and None in given:
        count = sum(scan.split is None for scan in scans)
        raise ValueError(
            f"{count} of {len(scans)} scans name no split and the others do; "
            "name a split for every scan or for none"
        )
    if given == {"test"}:
        return splits
    if not splits["train"]:
        raise ValueError(
            f"no scan is in the split 'train', only in {', '.join(map(str, given))}; "
            "name a split for training, or none at all"
        )
    if given != {None}:
        _check_leak(splits, config.allow_leak)
    shares = {"validation": config.validation, "test": config.test}
    missing = {name: share for name, share in shares.items() if name not in given}
    if missing:
        dealt = deal(_classes_by_subject(splits["train"]), missing, config.seed)
        everyone = splits.pop("train")
        for name in ("train", *missing):
            splits[name] = [scan for scan in everyone if dealt[scan.subject] == name]
    splits = {name: splits[name] for name in SPLITS}
    _warn_of_gaps(splits)
    return splits


def deal(
    classes: Mapping[str, Iterable[str]], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Deals subjects to `train` and the splits in `shares`, balanced by class.

    A pure function of the subjects and the seed: the order of the mapping does not
    matter. Every class reaches every split where it has enough subjects (at least
    one more than there are shares above 0). Classes are dealt from the rarest on,
    after Sechidis et al. 2011, "On the stratification of multi-label data".

    Args:
        classes: The classes of each subject's scans.
        shares: Share of the subjects for each split but `train`, which gets the rest.
        seed: Orders the subjects.

    Returns:
        The split of each subject.
    """
    order = sorted(classes, key=lambda subject: (_rank(seed, subject), subject))
    members: dict[str, list[str]] = defaultdict(list)
    for subject in order:
        for name in set(classes[subject]):
            members[name].append(subject)
    wanted = {name: _wanted(len(group), shares) for name, group in members.items()}
    split_of: dict[str, str] = {}
    for name in sorted(members, key=lambda name: (len(members[name]), name)):
        for subject in members[name]:
            if subject in split_of:
                continue
            split_of[subject] = max(wanted[name], key=lambda s: wanted[name][s])
            for held in set(classes[subject]):
                wanted[held][split_of[subject]] -= 1
    return split_of


def _wanted(count: int, shares: Mapping[str, float]) -> dict[str, float]:
    """How many of `count` subjects each split is due; at least one where possible."""
    used = {name: share for name, share in shares.items() if share > 0}
    if count <= len(used):
        return {"train": float(count), **dict.fromkeys(used, 0.0)}
    spare = count - 1 - len(used)
    more = {name: max(0.0, share * count - 1) for name, share in used.items()}
    scale = min(1.0, spare / max(sum(more.values()), 1e-9))
    due = {name: 1 + scale * extra for name, extra in more.items()}
    return {"train": count - sum(due.values()), **due}


def _rank(seed: int, subject: str) -> bytes:
    """A position that depends on nothing but seed and subject."""
    return hashlib.sha256(f"{seed}:{subject}".encode()).digest()


def _classes_by_subject(scans: Sequence[LabelledScan]) -> dict[str, frozenset[str]]:
    """Subjects of the same classes share one set: there may be millions of them."""
    known: dict[frozenset[str], frozenset[str]] = {}
    classes: dict[str, frozenset[str]] = {}
    for scan in scans:
        held = classes.get(scan.subject, frozenset())
        if scan.contrast not in held:
            more = held | {scan.contrast}
            classes[scan.subject] = known.setdefault(more, more)
    return classes


def shared_subjects(
    splits: Mapping[str, Sequence[LabelledScan]],
) -> dict[str, tuple[str, ...]]:
    """Returns the subjects that are in more than one split, with those splits."""
    first: dict[str, str] = {}
    homes: dict[str, set[str]] = {}
    for name, scans in splits.items():
        for scan in scans:
            home = first.setdefault(scan.subject, name)
            if home != name:
                homes.setdefault(scan.subject, {home}).add(name)
    return {
        subject: tuple(name for name in SPLITS if name in names)
        for subject, names in sorted(homes.items())
    }


def _check_leak(splits: Mapping[str, Sequence[LabelledScan]], allow: bool) -> None:
    shared = shared_subjects(splits)
    if not shared:
        return
    first = ", ".join(
        f"{subject!r} ({' and '.join(names)})"
        for subject, names in list(shared.items())[:5]
    )
    more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
    report = f"{len(shared)} subjects are in more than one split: {first}{more}"
    if not allow:
        raise ValueError(
            f"{report}; keep each subject in one split, or pass --allow-leak"
        )
    _log.warning("%s; kept, since leaks are allowed: scores will flatter", report)


def _warn_of_gaps(splits: Mapping[str, Sequence[LabelledScan]]) -> None:
    present = {scan.contrast for scans in splits.values() for scan in scans}
    for name, scans in splits.items():
        if not scans:
            _log.warning(
                "the split %r is empty: %s; raise --%s or add subjects",
                *(name, _NEEDED_BY[name], name),
            )
            continue
        held = {scan.contrast for scan in scans}
        gaps = [name for name in CLASSES if name in present - held]
        if gaps:
            _log.warning(
                "%s has no %s: too few subjects; add some", name, " and no ".join(gaps)
            )
