"""The corpus and what was found once, read anew: slices or `UnreadableScan`, soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
KEPT = sorted(p for p in (HERE / "corpus").rglob("*") if p.is_file())
FOUND = sorted(p for p in (HERE / "found").rglob("*") if p.is_file())
# The slowest takes 0.1 s; a file of 6 kB that takes 20 s is an attack.
SECONDS = 20.0


def test_there_is_a_corpus_for_every_target() -> None:
    assert {path.parent.name for path in KEPT} == set(TARGETS)


@pytest.mark.parametrize(
    "path", KEPT + FOUND, ids=lambda path: "-".join(path.relative_to(HERE).parts)
)
def test_a_kept_input_is_read_or_refused_in_time(path: Path) -> None:
    started = time.process_time()
    TARGETS[path.parent.name](path.read_bytes())
    assert time.process_time() - started < SECONDS
