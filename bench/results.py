"""Rows of the table, `results.json`, and what they were measured on."""

import dataclasses
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

import rich.console
import rich.markup
import rich.table

from pipeline.files import write_json
from pipeline.machine import machine as hardware
from serving.revision import source_revision

NO_GOAL: Final = "-"

RESULTS: Final = Path("bench/results.json")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One figure against its goal.

    Attributes:
        id: Name of the figure, for example `input.vs_study`.
        value: What was measured; several figures where the goal names several; None
            where it could not be measured.
        reach: The goal, as text; `-` where the figure only informs.
        ok: Whether the goal is reached; without a goal, whether anything was measured.
        detail: What was compared, both sides' numbers, counts; or why nothing was.
    """

    id: str
    value: float | tuple[float, ...] | None
    reach: str
    ok: bool
    detail: str

    def __post_init__(self) -> None:
        if self.ok and self.value is None:
            raise ValueError(f"{self.id} was not measured, so it cannot be ok")

    def failed(self) -> Self:
        """Returns the row as one whose goal is missed, whatever its figure."""
        return dataclasses.replace(self, ok=False)


def at_least(
    name: str, values: Sequence[float], goals: Sequence[float], detail: str
) -> Row:
    """Builds a row whose figures must each be at least their goal."""
    figures = tuple(float(f"{value:.4g}") for value in values)
    return Row(
        id=name,
        value=figures[0] if len(figures) == 1 else figures,
        reach="≥ " + " / ".join(f"{goal:g}" for goal in goals),
        ok=all(value >= goal for value, goal in zip(values, goals, strict=True)),
        detail=detail,
    )


def at_most(name: str, value: float, goal: float, detail: str) -> Row:
    """Builds a row whose figure must be at most its goal."""
    figure = float(f"{value:.4g}")
    return Row(name, figure, f"≤ {goal:g}", value <= goal, detail)


def informs(name: str, value: float, detail: str) -> Row:
    """Builds a row without a goal."""
    return Row(name, float(f"{value:.4g}"), NO_GOAL, True, detail)


def unmeasured(name: str, reach: str, reason: str) -> Row:
    """Builds a row of what could not be measured."""
    return Row(name, None, reach, False, f"not measured: {reason}")


def machine() -> dict[str, Any]:
    """Describes what the figures were measured on."""
    return {
        **hardware(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
    }


def save(rows: Sequence[Row], path: Path = RESULTS) -> None:
    """Writes `results.json`.

    Rows that are already there stay where they are of the same machine, each with the
    revision that it was measured at; those with the id of a new row are replaced.
    """
    where, revision = machine(), source_revision()
    kept: dict[str, Any] = {}
    if path.is_file():
        old = json.loads(path.read_text())
        if old["machine"] == where:
            kept = {
                row["id"]: {"revision": old.get("revision"), **row}
                for row in old["rows"]
            }
    kept |= {row.id: {"revision": revision, **dataclasses.asdict(row)} for row in rows}
    write_json(path, {"machine": where, "rows": [kept[name] for name in sorted(kept)]})


def show(rows: Sequence[Row]) -> None:
    """Prints the rows as a table, and below it what each was measured on."""
    console = rich.console.Console()
    table = rich.table.Table("id", "value", "reach", "ok")
    for row in rows:
        values = row.value if isinstance(row.value, tuple) else (row.value,)
        figures = " / ".join("-" if value is None else f"{value:g}" for value in values)
        table.add_row(row.id, figures, row.reach, _verdict(row))
    console.print(table)
    for row in rows:
        console.print(f"[bold]{row.id}[/bold]: {rich.markup.escape(row.detail)}")


def _verdict(row: Row) -> str:
    if not row.ok:
        return "NO"
    return "" if row.reach == NO_GOAL else "yes"
