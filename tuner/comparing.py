"""The winner against what there was: figures, paired tests, verdict and table."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from pipeline.experiments.compare import Interval, by_subject, compare, seed_interval
from pipeline.judged import SLICES, Judged

Verdict = Literal["better", "equal", "worse"]

FIGURES: Final = ("wrong", "loss")
"""Fields of `Judged`: the share of wrong ones, and the mean loss."""

NOISE: Final = "beyond noise"

_SAYS: Final = {
    "better": f"better than {{}} {NOISE}",
    "equal": f"as good as {{}}: no difference {NOISE}",
    "worse": f"worse than {{}} {NOISE}",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """One that is compared.

    Attributes:
        name: For people.
        about: What else is known of it, for the record.
        seeds: What each of its trainings said, by what was judged.
    """

    name: str
    about: dict[str, Any]
    seeds: Sequence[Mapping[str, Judged]]

    def summed(self, kind: str, figure: str) -> tuple[Any, Any]:
        """Sums of each seed and subject, and each subject's number, `by_subject`."""
        found = [seed[kind] for seed in self.seeds]
        values = [getattr(each, figure) for each in found]
        return by_subject(values, found[0].subjects)


def figures(network: Network) -> dict[str, Any]:
    """Means over its trainings, each with its 95 % interval, subjects and seeds drawn.

    Returns:
        Name, what is known of it, and for slices and real scans `count`, `subjects`,
        and `wrong` and `loss`, each with `mean`, `interval` and the `seeds` apart.
    """
    content: dict[str, Any] = {"name": network.name, **network.about}
    for kind, first in network.seeds[0].items():
        content[kind] = {
            "count": len(first.wrong),
            "subjects": len(np.unique(first.subjects)),
        }
        for figure in FIGURES:
            sums, counts = network.summed(kind, figure)
            content[kind][figure] = {
                "mean": float(sums.sum() / (len(sums) * counts.sum())),
                "interval": list(seed_interval(sums, counts)),
                "seeds": (sums.sum(axis=1) / counts.sum()).tolist(),
            }
    return content


def against(winner: Network, other: Network) -> dict[str, Any]:
    """Compares two networks on the same slices and scans.

    Returns:
        `name` of the other, `verdict` on slices, and for slices and real scans the
        `difference` of `wrong` and of `loss`, its `interval`, and `p` of the test
        clustered by subject: of these trained networks, not of other trainings.
    """
    content: dict[str, Any] = {"name": other.name}
    for kind in winner.seeds[0]:
        content[kind] = {}
        for figure in FIGURES:
            mine, counts = winner.summed(kind, figure)
            theirs, _ = other.summed(kind, figure)
            pair = compare(mine, theirs, counts)
            content[kind][figure] = {
                "difference": pair.difference,
                "interval": list(pair.difference_interval),
                "p": pair.p,
            }
    content["verdict"] = verdict(content[SLICES]["wrong"]["interval"])
    return content


def verdict(interval: Interval | Sequence[float]) -> Verdict:
    """Whether the share of wrong slices is smaller, beyond what chance would do.

    Args:
        interval: 95 %, of the winner's share less the other's.
    """
    low, high = interval
    if high < 0:
        return "better"
    return "worse" if low > 0 else "equal"


_HEADINGS: Final = (
    *("network", "parameters", "seeds", "of", "wrong", "95 %", "loss", "95 %"),
)


def markdown(content: Mapping[str, Any]) -> str:
    """Returns the table for people.

    Args:
        content: Of `retrained.json`.
    """
    one = content["networks"][0][SLICES]
    lines = [
        f"# The winner of search {content['search']}, retrained",
        "",
        f"{one['count']} slices of {one['subjects']} subjects of split "
        f"`{content['split']}`; each training {content['epochs']} epochs, seeds "
        f"{', '.join(map(str, content['seeds']))}. Figures are means over seeds; "
        "intervals draw subjects and seeds; p is of a paired test clustered by "
        "subject, of these trained networks alone.",
        "",
        _row(_HEADINGS),
        "|---" * len(_HEADINGS) + "|",
        *(line for network in content["networks"] for line in _lines(network)),
        "",
        _row(("winner against", "of", "figure", "difference", "95 %", "p")),
        "|---" * 6 + "|",
        *(line for pair in content["comparisons"] for line in _compared(pair)),
        "",
        *(f"{note}." for note in content["notes"]),
        *([""] if content["notes"] else []),
        *(_sentence(pair) for pair in content["comparisons"]),
        f"Best winner on the validation split: {content['best']}.",
        "",
    ]
    return "\n".join(lines)


def _lines(network: Mapping[str, Any]) -> list[str]:
    parameters = network.get("parameters")
    told = "" if parameters is None else f"{parameters:,}".replace(",", " ")
    rows = []
    for kind, found in network.items():
        if not (isinstance(found, dict) and "wrong" in found):
            continue
        cells = [network["name"], told, str(len(found["wrong"]["seeds"])), kind]
        for figure, form in (("wrong", ".2%"), ("loss", ".4f")):
            low, high = found[figure]["interval"]
            cells += [
                format(found[figure]["mean"], form),
                f"{low:{form}}–{high:{form}}",
            ]
        rows.append(_row(cells))
    return rows


def _compared(pair: Mapping[str, Any]) -> list[str]:
    rows = []
    for kind, found in pair.items():
        if not isinstance(found, dict):
            continue
        for figure, form in (("wrong", "+.2%"), ("loss", "+.4f")):
            low, high = found[figure]["interval"]
            difference = format(found[figure]["difference"], form)
            limits = f"{low:{form}} to {high:{form}}"
            p = format(found[figure]["p"], ".2g")
            rows.append(_row((pair["name"], kind, figure, difference, limits, p)))
    return rows


def _sentence(pair: Mapping[str, Any]) -> str:
    said = _SAYS[pair["verdict"]].format(pair["name"])
    low, high = pair[SLICES]["wrong"]["interval"]
    return f"The winner is {said} (wrong slices {low:+.2%} to {high:+.2%})."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
