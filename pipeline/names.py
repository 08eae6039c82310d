"""What a file's name says of a scan: the subject, and in BIDS the contrast."""

import re
from collections.abc import Sequence
from typing import Final

from pipeline.contrasts import contrast_of, names_gadolinium

_SUFFIX: Final = re.compile(r"(\.nii)?\.[A-Za-z]{2,5}$", re.IGNORECASE)
"""Letters only: the end of a DICOM identifier such as `1.2.840.113` is no suffix."""

_SLICE: Final = r"(slice|sl|z)[-_]?\d+"
_NAMES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<contrast>[^_]+)_(?P<subject>.+?)_({_SLICE}|\d+)",  # T1_497_3
        r"(?P<subject>.+)[-_](?P<contrast>[^-_]+)",  # IXI002-Guys-0828-T1
        rf"(?P<subject>.+?)[-_](?P<contrast>[^-_]+)[-_]({_SLICE}|s?\d+)",  # s12_T1_004
    )
)
_SLICE_OF: Final = re.compile(rf"(?P<subject>.+?)[-_]{_SLICE}", re.IGNORECASE)
_BIDS_SUBJECT: Final = re.compile(r"(sub-[A-Za-z0-9]+)(_|$)")


def subject_of(name: str) -> str:
    """Returns the subject that a file's name gives, or else the name's stem.

    Args:
        name: A file name such as `T1_497_3.png` or `sub-01_ses-2_T1w.nii.gz`.

    Returns:
        `497`, `sub-01`; `p1` for `p1_T1_004.png` and `p1_slice05.png`; the stem
        without `.nii.gz` for all other names.
    """
    stem = _SUFFIX.sub("", name)
    if match := _BIDS_SUBJECT.match(stem):
        return match[1]
    for pattern in _NAMES:
        match = pattern.fullmatch(stem)
        if match and _names_contrast(match["contrast"]):
            return match["subject"]
    if match := _SLICE_OF.fullmatch(stem):
        return match["subject"]
    return stem


def _names_contrast(word: str) -> bool:
    try:
        contrast_of(word)
    except ValueError:
        return False
    return True


def contrast_of_bids(entities: Sequence[str]) -> str:
    """Returns the class that a BIDS name gives.

    Only anatomical weightings of the magnitude are T1, T2 or FLAIR. `ce-gadolinium`,
    `acq-…`, `rec-…` and `run-…` change nothing.

    Args:
        entities: The name without its endings, split at the underscores.
    """
    if {"part-phase", "part-imag", "part-real"} & set(entities):
        return "other"
    suffix = entities[-1].removeprefix("inplane")
    try:
        return contrast_of(suffix)
    except ValueError:
        return "other"


def bids_names_gadolinium(entities: Sequence[str]) -> bool:
    """Tells whether a BIDS name is of T1 after contrast agent: `ce-gadolinium`.

    Args:
        entities: The name without its endings, split at the underscores.
    """
    agents = ("ce-gadolinium", "ce-gado", "ce-gad", "ce-gd")
    named = any(entity.lower() in agents for entity in entities)
    of_t1 = contrast_of_bids(entities) == "T1"
    return of_t1 and (named or names_gadolinium(entities[-1]))
