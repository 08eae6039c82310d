"""Rows of the command's output: as a table, as CSV or as one JSON object a line."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from mri_contrast._language import Language
from mri_contrast.answers import Result
from mri_contrast.checks import Check


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One scan identified; all but file, part and error are None on failure.

    Attributes:
        gadolinium: as in `Answer`, where the contrast is T1; else None, since it means
            nothing there.
    """

    file: str
    part: str | None = None
    contrast: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    slices: int | None = None
    model_version: int | None = None
    gadolinium: float | None = None
    conflict: tuple[str, ...] | None = None
    error: str | None = None

    @classmethod
    def of(cls, result: Result) -> Row:
        """The row of a result."""
        if (answer := result.answer) is None:
            return cls(result.file, result.part, error=str(result.error))
        return cls(
            file=result.file,
            part=result.part,
            contrast=answer.contrast,
            probability=answer.probability,
            probabilities=answer.probabilities,
            slices=answer.slices,
            model_version=answer.model_version,
            gadolinium=answer.gadolinium if answer.contrast == "T1" else None,
            conflict=answer.conflict,
        )

    @staticmethod
    def head(say: Language) -> str:
        """The table's first line."""
        return (
            f"{say('CONTRAST'):<8}  {say('PROBABILITY'):>11}  {say('SLICES'):>6}  "
            f"{say('VERSION'):>7}  {say('FILE')}"
        )

    def line(self, say: Language) -> str:
        """A line of the table."""
        file = self.file if self.part is None else f"{self.file} [{self.part}]"
        if self.contrast is None or self.probability is None:
            return f"{'-':<8}  {'-':>11}  {'-':>6}  {'-':>7}  {file}"
        return (
            f"{say(self.contrast):<8}  {self.probability:>11.1%}  {self.slices:>6}  "
            f"{self.model_version:>7}  {file}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class CheckRow:
    """One scan in its slot."""

    file: str
    expected: str
    verdict: str
    looks_like: str | None
    probability: float | None
    belongs_to: str | None
    model_version: int | None
    conflict: tuple[str, ...]
    error: str | None

    @classmethod
    def of(cls, file: str, check: Check, belongs_to: str | None) -> CheckRow:
        """The row of a check; `belongs_to` is the slot that it was swapped with."""
        answer = check.answer
        return cls(
            file=file,
            expected=check.expected,
            verdict=check.verdict,
            looks_like=check.looks_like,
            probability=None if answer is None else check.probability,
            belongs_to=belongs_to,
            model_version=None if answer is None else answer.model_version,
            conflict=check.conflict,
            error=None if check.error is None else str(check.error),
        )

    @staticmethod
    def head(say: Language) -> str:
        """The table's first line."""
        return (
            f"{say('SLOT'):<6}  {say('PROBABILITY'):>11}  {say('VERDICT'):<34}  "
            f"{say('FILE')}"
        )

    def line(self, say: Language) -> str:
        """A line of the table."""
        sure = "-" if self.probability is None else f"{self.probability:.1%}"
        verdict = say(self.verdict)
        if self.error is not None:
            verdict += f" ({say('cannot be read')})"
        elif self.verdict == "wrong slot":
            verdict += f" ({say('looks like {contrast}', contrast=self.looks_like)})"
        elif self.verdict == "not usable":
            verdict += f" ({say(self.looks_like or '')})"
        return f"{self.expected:<6}  {sure:>11}  {verdict:<34}  {self.file}"


class Printer:
    """Writes rows of one kind."""

    def __init__(
        self,
        kind: type[Row] | type[CheckRow],
        style: str,
        out: TextIO,
        say: Language,
    ) -> None:
        self._style, self._out, self._say = style, out, say
        names = [field.name for field in dataclasses.fields(kind)]
        self._csv = csv.DictWriter(out, names, lineterminator="\n")
        if style == "csv":
            self._csv.writeheader()
        elif style == "table":
            print(kind.head(say), file=out)

    def print(self, row: Row | CheckRow) -> None:
        """Writes one row at once, so that a reader at the other end can go on."""
        fields: dict[str, Any] = dataclasses.asdict(row)
        if self._style == "json":
            print(json.dumps(fields), file=self._out)
        elif self._style == "csv":
            if fields.get("probabilities") is not None:
                fields["probabilities"] = json.dumps(fields["probabilities"])
            fields["conflict"] = "; ".join(fields["conflict"] or ())
            self._csv.writerow(fields)
        else:
            print(row.line(self._say), file=self._out)
        self._out.flush()


class Progress:
    """A bar on stderr, where that is a terminal and stdout is none; else nothing.

    On a terminal rows show themselves how far the work is, and a bar would tear them.
    """

    _WIDTH = 30

    def __init__(self, total: int, say: Language) -> None:
        self._total, self._say = total, say
        self._files: int = 0
        self._last: str | None = None
        self._shown = sys.stderr.isatty() and not sys.stdout.isatty() and total > 1

    def advance(self, file: str) -> None:
        """Counts a file, once however many parts it has."""
        if file == self._last:
            return
        self._last = file
        self._files += 1
        self._draw()

    def _draw(self) -> None:
        if self._shown:
            full = min(self._WIDTH, self._WIDTH * self._files // self._total)
            bar = "#" * full + "-" * (self._WIDTH - full)
            count = f"{self._files}/{self._total} {self._say('files')}"
            print(f"\r[{bar}] {count}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Takes the bar away, for a message or at the end."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def complaints(lines: Sequence[str], progress: Progress | None = None) -> None:
    """Says on stderr what people should know, one line each."""
    if lines and progress is not None:
        progress.clear()
    for line in lines:
        print(f"mri-contrast: {' '.join(line.split())}", file=sys.stderr)
