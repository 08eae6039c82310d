"""Writes verdicts into BIDS sidecars, and renames scans where that is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mri_contrast.answers import Answer, Result

SUFFIXES = {"T1": "T1w", "T2": "T2w", "FLAIR": "FLAIR"}
"""Of https://bids-specification.readthedocs.io: anatomical images, not parametric."""

_KEY = "MriContrast"
_ENDING = re.compile(r"(\.nii\.gz|\.nii)$")
# What a name may end in that states a contrast; an entity such as `run-1` does not.
_CONTRAST = re.compile(
    r"_(T1w|T2w|FLAIR|PDw|PDT2|T2star|T2starw|inplaneT1|inplaneT2|UNIT1|unknown)$"
)


class NotRenamed(Exception):  # noqa: N818 - says what happened
    """The name that a scan should get is taken; it keeps its own."""


def write_sidecar(result: Result) -> Path | None:
    """Adds the verdict to the JSON beside a NIfTI file; other fields stay as they are.

    Returns:
        The sidecar; None of what has no answer, is no file of its own, or no NIfTI.

    Raises:
        OSError: it cannot be written.
        ValueError: a sidecar that is there is no JSON object; it is left alone.
    """
    image = _image(result)
    if image is None or result.answer is None:
        return None
    sidecar = _beside(image)
    fields: dict[str, Any] = {}
    if sidecar.exists():
        fields = json.loads(sidecar.read_text("utf-8"))
        if not isinstance(fields, dict):
            raise ValueError("the sidecar is no JSON object; it is left as it is")
    fields[_KEY] = _verdict(result.answer)
    temporary = sidecar.with_name(f".{sidecar.name}.part")
    temporary.write_text(json.dumps(fields, indent=2) + "\n", "utf-8")
    temporary.replace(sidecar)
    return sidecar


def rename(result: Result) -> Path | None:
    """Gives a NIfTI file, and its sidecar, the suffix of what was accepted.

    `sub-1_T2w.nii.gz` that is FLAIR becomes `sub-1_FLAIR.nii.gz`; a name that states no
    contrast gets the suffix at its end.

    Returns:
        The new path; None where the name fits, or nothing is to be renamed.

    Raises:
        NotRenamed: a file of the new name is there already (the message is its name).
        OSError: the system refuses.
    """
    image = _image(result)
    suffix = SUFFIXES.get(result.answer.contrast) if result.answer else None
    if image is None or suffix is None:
        return None
    stem, ending = _parted(image.name)
    new = image.with_name(f"{_CONTRAST.sub('', stem)}_{suffix}{ending}")
    if new == image:
        return None
    sidecar = _beside(image)
    for taken in (new, _beside(new)):
        if taken.exists():
            raise NotRenamed(taken.name)
    image.rename(new)
    if sidecar.exists():
        sidecar.rename(_beside(new))
    return new


def _verdict(answer: Answer) -> dict[str, Any]:
    return {
        "Contrast": answer.contrast,
        "Suffix": SUFFIXES.get(answer.contrast),
        "Probability": round(answer.probability, 6),
        "Probabilities": {n: round(p, 6) for n, p in answer.probabilities.items()},
        "ModelVersion": answer.model_version,
        "Conflict": list(answer.conflict),
    }


def _image(result: Result) -> Path | None:
    """The NIfTI file of a result: itself, or a part of the folder that was named."""
    inside = Path(result.file, result.part or "")
    return inside if _ENDING.search(inside.name) and inside.is_file() else None


def _parted(name: str) -> tuple[str, str]:
    stem = _ENDING.sub("", name)
    return stem, name[len(stem) :]


def _beside(image: Path) -> Path:
    return image.with_name(f"{_parted(image.name)[0]}.json")
