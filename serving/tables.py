"""Tables of published versions for a terminal."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_WIDTH: Final = 140
"""Of what goes into a file or a pipe, which has no width of its own."""


def overview(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints a row for each version."""
    table = _table("version", "labels", "published", "run")
    for heading in ("accuracy", "calibration error", "real scans", "size"):
        table.add_column(heading, justify="right")
    table.add_column("gate")
    for row in rows:
        table.add_row(
            str(row["version"]),
            ", ".join(row["labels"]),
            _time(row["published"]),
            row["run"] or "",
            _share(row["accuracy"]),
            "" if row["ece"] is None else f"{row['ece']:.3f}",
            _share(row["real_accuracy"]),
            f"{row['bytes'] / 1e6:.2f} MB",
            row["decision"] or "",
        )
    _print(table)


def details(found: Mapping[str, Any]) -> None:
    """Prints what is known of one version; the rest of its card is in the JSON."""
    overview([found])
    card = found["card"]
    facts = _table("of its card", "")
    for name in ("intended_use", "warning", "licence", "classes", "parameters"):
        facts.add_row(name, _short(card.get(name)))
    for name in ("hyper_parameters", "calibration", "source_revision", "libraries"):
        facts.add_row(name, _short(card.get(name)))
    facts.add_row("command", _short(card.get("training", {}).get("command")))
    facts.add_row("data", _short(card.get("data_manifest_sha256")))
    _print(facts)
    files = _table("file")
    files.add_column("bytes", justify="right")
    for name, size in found["files"].items():
        files.add_row(name, str(size))
    _print(files)
    events = _table("time", "who", "what", "why")
    for entry in found["history"]:
        what = f"{entry['action']} {entry.get('label', '')}".strip()
        if entry.get("replaces") is not None:
            what += f": {entry['version']} for {entry['replaces']}"
        events.add_row(_time(entry["time"]), entry["user"], what, entry["reason"])
    _print(events)


def differences(found: Mapping[str, Sequence[Any]], one: int, other: int) -> None:
    """Prints a row for each difference of two cards."""
    table = _table("in the card", f"version {one}", f"version {other}")
    for name, values in found.items():
        table.add_row(name, *map(_short, values))
    _print(table)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _print(table: Table) -> None:
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(width=_WIDTH, markup=False, highlight=False)
    console.print(table)
    console.print()


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _time(value: str | None) -> str:
    """`2026-11-26T21:41:34+00:00` without its seconds and zone."""
    return "" if value is None else value[:16].replace("T", " ")


def _short(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
