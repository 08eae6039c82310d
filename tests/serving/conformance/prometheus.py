"""Reads Prometheus' text format, as far as a test looks at it."""

import dataclasses
import re
from collections.abc import Mapping

_LINE = re.compile(r"(?P<name>[^\s{#]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclasses.dataclass(frozen=True)
class Sample:
    name: str
    labels: Mapping[str, str]
    value: float


def read(text: str) -> list[Sample]:
    found = map(_LINE.fullmatch, text.splitlines())
    return [
        Sample(
            match["name"],
            dict(_LABEL.findall(match["labels"] or "")),
            float(match["value"]),
        )
        for match in found
        if match
    ]
