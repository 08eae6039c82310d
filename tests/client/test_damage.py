"""Damage of any kind, to any format: slices or `UnreadableScan`, nothing else."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS


@cache
def whole_files() -> dict[str, list[bytes]]:
    """Small whole files of each target's format."""
    files: dict[str, list[bytes]] = {}
    for target, _, content in seeds():
        files.setdefault(target, []).append(content)
    return files


@st.composite
def damaged(draw: st.DrawFn, target: str) -> bytes:
    """A whole file with bits flipped, bytes replaced, and its end or a part missing."""
    content = bytearray(draw(st.sampled_from(whole_files()[target])))
    places = st.integers(0, len(content) - 1)
    for place, bit in draw(st.lists(st.tuples(places, st.integers(0, 7)), max_size=6)):
        content[place] ^= 1 << bit
    wild = st.sampled_from(
        [b"\xff" * 4, b"\x7f" * 8, b"\x80\0", bytes(8), b"-1", b"nan"]
    )
    for place, value in draw(st.lists(st.tuples(places, wild), max_size=3)):
        content[place : place + len(value)] = value
    if draw(st.booleans()):
        del content[draw(places) :]
    elif draw(st.booleans()):
        start = draw(places)
        del content[start : start + draw(st.integers(1, 64))]
    return bytes(content)


@pytest.mark.parametrize("target", TARGETS)
def test_damage_gives_slices_or_a_reason(target: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(content=damaged(target))
    def holds(content: bytes) -> None:
        TARGETS[target](content)

    holds()


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_cut_anywhere_gives_slices_or_a_reason(target: str) -> None:
    for content in whole_files()[target]:
        for end in range(0, len(content), max(1, len(content) // 40)):
            TARGETS[target](content[:end])


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=600), start=st.sampled_from([b"", b"NRRD0004\n"]))
def test_any_bytes_give_slices_or_a_reason(content: bytes, start: bytes) -> None:
    TARGETS["nrrd"](start + content)
