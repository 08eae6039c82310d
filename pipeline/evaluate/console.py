"""What an evaluation prints: the figures of one screen."""

from typing import Any

from rich.console import Console
from rich.table import Table

from mri_contrast.verdict import UNSURE


def show(result: dict[str, Any]) -> None:
    """Prints loss and accuracy, verdicts by class, real scans, and the goals."""
    console = Console()
    classes = result["model"]["classes"]
    if "slices" in result:
        _split(console, result, classes)
    if "real" in result:
        _real(console, result["real"], classes)
    goals = Table("figure", "value", "to reach", "reached", title="goals")
    for row in result["rows"]:
        value = "-" if row["value"] is None else f"{row['value']:g}"
        reached = "yes" if row["ok"] else "NO"
        if row["value"] is None:
            reached = "not measured"
        goals.add_row(row["id"], value, row["reach"], reached)
    console.print(goals)


def _split(console: Console, result: dict[str, Any], classes: list[str]) -> None:
    slices, volumes = result["slices"], result["volumes"]
    console.print(
        f"{slices['count']} slices of the {result['split']} split: "
        f"loss {slices['loss']:.4f}  accuracy {slices['accuracy']:.4f} "
        f"{interval(slices['accuracy_interval'])}"
    )
    _table(console, f"{volumes['count']} {result['split']} scans", volumes, classes)
    console.print(
        f"accepted {volumes['coverage']:.1%}, of those right "
        f"{share(volumes['accepted_accuracy'])}; likeliest class right "
        f"{share(volumes['accuracy'])} {interval(volumes['accuracy_interval'])}; "
        f"calibration error {volumes['calibration']['ece']:.4f}"
    )


def _real(console: Console, real: dict[str, Any], classes: list[str]) -> None:
    _table(console, f"{real['count']} real scans", real, classes)
    console.print(
        f"accepted {real['coverage']:.1%}, of those right "
        f"{share(real['accepted_accuracy'])}; right verdicts, mean over T1, T2 and "
        f"FLAIR, {share(real['mean_verdict_accuracy'])} (likeliest class: "
        f"{share(real['mean_accuracy'])})"
    )
    strange = real["out_of_class"]
    console.print(
        f"{strange['right']} of {strange['count']} files of other kinds not accepted; "
        f"{real['refused']} files gave no slices, "
        f"{sum(one['refused'] for one in real['by_class'].values())} of them T1, T2 or "
        "FLAIR, which count as not right"
    )
    for one in real["mistakes"]:
        winner = max(one["probabilities"].values())
        console.print(
            f"  not right: {one['scan']} is {one['label']}, verdict {one['verdict']} "
            f"({winner:.3f})",
            soft_wrap=True,
        )
    if real["orientations"]:
        kept = real["orientations"]
        console.print(
            f"turned in {kept['ways']} other ways: {kept['kept']} of {kept['cases']} "
            f"verdicts kept, {kept['share']:.4f} {interval(kept['interval'])}; in all "
            f"of them by {kept['scans']['right']} of {kept['scans']['count']} scans"
        )


def _table(
    console: Console, title: str, counted: dict[str, Any], classes: list[str]
) -> None:
    table = Table(title=f"{title}: truth down, verdict across")
    for heading in ("", *classes, UNSURE):
        table.add_column(heading, justify="right")
    for name, row in zip(classes, counted["confusion"], strict=True):
        table.add_row(name, *map(str, row))
    console.print(table)


def share(value: float | None) -> str:
    """A share to read, or `none`."""
    return "none" if value is None else f"{value:.4f}"


def interval(ends: list[float] | None) -> str:
    """An interval to read; nothing where there is none."""
    return "" if ends is None else f"({ends[0]:.4f}-{ends[1]:.4f})"
