"""What a scan's header and name say of its contrast: read here, never sent or logged.

Times, series texts and the BIDS name are compared with what the pixels look like; a
disagreement is told to the caller as a conflict. Headers are often wrong (about one
description in ten: NILS, MR-Class), so the verdict itself never depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Hints:
    """Facts beside the pixels; all unknown where there is no header.

    Its `repr` shows no text of the header.

    Attributes:
        repetition: TR in ms.
        echo: TE in ms.
        inversion: TI in ms; None also where the sequence has none.
        texts: series description, protocol and sequence name.
        suffix: the BIDS suffix in the file's name, such as "T1w".
        axial: the axis (0, 1, 2) of the voxels that runs from feet to head.
    """

    repetition: float | None = None
    echo: float | None = None
    inversion: float | None = None
    texts: tuple[str, ...] = field(default=(), repr=False)
    suffix: str | None = None
    axial: int | None = None


_SUFFIXES = {"T1w": "T1", "T2w": "T2", "FLAIR": "FLAIR"}
_OTHER_SUFFIXES = frozenset(
    (
        *("PDw", "PDT2", "T2star", "T2starw", "inplaneT1", "inplaneT2", "angio"),
        *("T1map", "T2map", "UNIT1", "MTR", "MTw", "swi", "SWI", "phase", "phasediff"),
        *("magnitude", "magnitude1", "magnitude2", "epi", "bold", "cbv", "sbref"),
        *("dwi", "asl", "m0scan", "pet", "ct"),
    )
)
# In texts of which all but letters, digits and `*` became spaces. `(?![a-z0-9])` and
# its like keep "t2" out of "t2star", and "pd" out of "updated".
_WORDS = {
    "FLAIR": r"flair|dark ?fluid",
    "T1": r"(?<![a-z0-9])s?t1(?![0-9])(?! ?map)|mp ?rage|bravo|spgr",
    "T2": r"(?<![a-z0-9])s?t2(?![0-9*]| ?\*| ?star| ?map)",
    OTHER: (
        r"t2 ?\*|t2 ?star|t[12] ?map|(?<![a-z])(pdw?|swi|swan|dwi|dti|adc|trace|bold|"
        r"fmri|epi|asl|tof|mra|mip|stir|loc|locali[sz]er|scout|survey|fieldmap)"
        r"(?![a-z])|diffusion|proton|perfusion|angio|ep2d"
    ),
}

# Milliseconds. T1 needs a short echo, T2 and FLAIR a long one: T1 spin echoes reach
# 30 ms, T2 starts at 70; between, either may be. FLAIR nulls CSF: 1500 ms or more at
# 1.5 T and above, where STIR nulls fat at 150-250 and T1 preparations end at 1200.
_LONGEST_T1_ECHO = 50.0
_SHORTEST_T2_ECHO = 40.0
_SHORTEST_FLAIR_INVERSION = 1300.0


def conflicts(hints: Hints, contrast: str) -> tuple[str, ...]:
    """Says where header or name disagree with a verdict of the pixels.

    Args:
        hints: what header and name say.
        contrast: the verdict; "unsure" agrees with everything.

    Returns:
        One reason for each disagreement, without any text of the header.
    """
    if contrast not in (*_SUFFIXES.values(), OTHER):
        return ()
    return tuple(_disagreements(hints, contrast))


def _disagreements(hints: Hints, contrast: str) -> Iterator[str]:
    named = _named(hints.suffix)
    if named not in (None, contrast):
        yield f"its BIDS name says {named}"
    told = said(hints.texts)
    if told not in (None, contrast):
        yield f"its series text says {told}"
    echo, inversion = hints.echo, hints.inversion
    if echo is not None and contrast == "T1" and echo > _LONGEST_T1_ECHO:
        yield "its echo time is too long for T1"
    if echo is not None and contrast in ("T2", "FLAIR") and echo < _SHORTEST_T2_ECHO:
        yield f"its echo time is too short for {contrast}"
    if inversion is not None:
        if contrast == "FLAIR" and inversion < _SHORTEST_FLAIR_INVERSION:
            yield "its inversion time is too short for FLAIR"
        elif contrast == "T2" and inversion >= _SHORTEST_FLAIR_INVERSION:
            yield "its inversion time is that of FLAIR"


def _named(suffix: str | None) -> str | None:
    if suffix is None:
        return None
    return _SUFFIXES.get(suffix, OTHER if suffix in _OTHER_SUFFIXES else None)


def said(texts: tuple[str, ...]) -> str | None:
    """The contrast that series texts name; None where none, or more than one, is.

    T2-FLAIR is FLAIR and T1-FLAIR is T1, as everywhere here.
    """
    text = " ".join(re.sub(r"[^a-z0-9*]+", " ", t.lower()) for t in texts)
    found = {name for name, words in _WORDS.items() if re.search(words, text)}
    if "FLAIR" in found:
        if "T1" in found and "T2" not in found:
            found.remove("FLAIR")
        else:
            found.discard("T2")
    return found.pop() if len(found) == 1 else None
