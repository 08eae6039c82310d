"""Finds the series in DICOM files."""

from __future__ import annotations

import dataclasses
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast._dicom_file import import_pydicom
from mri_contrast._dicom_frames import Frame, NoImage, frames_of
from mri_contrast._dicom_pixels import read_frames
from mri_contrast._files import Entry
from mri_contrast._scan import Part, Scan
from mri_contrast.errors import UnreadableScan

# Direction cosines of one series differ by rounding only; 0.001 is 0.06 degrees.
_SAME_DIRECTION = 1e-3
# A study has up to 100 series, a rotating projection some 200 planes in one.
_MOST_SERIES = 1000


def find_series(entries: list[Entry]) -> list[Part]:
    """Groups files into series; files without an image (reports, DICOMDIR) are passed.

    A series is split where shape, orientation or echo time differ, since its parts
    then differ in plane or contrast.

    Raises:
        UnreadableScan: pydicom is missing; no file holds a grey image; or more than
            1000 series.
    """
    import_pydicom()
    frames: list[Frame] = []
    failures: list[UnreadableScan] = []
    for entry in entries:
        try:
            frames += frames_of(entry)
        except UnreadableScan as error:
            failures.append(error)
    if not frames:
        raise failures[0]
    damaged = sum(not isinstance(error, NoImage) for error in failures)
    notes = (f"{damaged} DICOM files could not be read",) if damaged else ()
    groups = _groups(frames)
    return [
        Part(name, partial(_noted, group, notes))
        for name, group in zip(_names(groups), groups, strict=True)
    ]


def _noted(frames: list[Frame], notes: tuple[str, ...]) -> Scan:
    scan = read_frames(frames)
    return dataclasses.replace(scan, notes=(*scan.notes, *notes))


def _names(groups: list[list[Frame]]) -> list[str]:
    """The series' numbers, and which part of a series where it was split."""
    names = [
        "series without number" if g[0].number is None else f"series {g[0].number}"
        for g in groups
    ]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    seen: Counter[str] = Counter()
    full = []
    for name in names:
        seen[name] += 1
        full.append(f"{name}, part {seen[name]}" if name in repeated else name)
    return full


def _groups(frames: list[Frame]) -> list[list[Frame]]:
    alike: dict[tuple[object, ...], list[list[Frame]]] = {}
    directions: dict[tuple[object, ...], npt.NDArray[Any]] = {}
    count = 0
    for frame in frames:
        key = (frame.key, frame.shape, frame.orientation is None)
        direction = np.zeros(6) if frame.orientation is None else frame.orientation
        known = directions.get(key, np.empty((0, 6)))
        with np.errstate(over="ignore"):
            same = np.abs(known - direction).max(axis=1) < _SAME_DIRECTION
        if same.any():
            alike[key][int(same.argmax())].append(frame)
            continue
        directions[key] = np.vstack([known, direction])
        alike.setdefault(key, []).append([frame])
        count += 1
        if count > _MOST_SERIES:
            raise UnreadableScan(
                f"it holds more than {_MOST_SERIES} series or planes; give one study "
                "at a time"
            )
    found = [group for groups in alike.values() for group in groups]
    return sorted(found, key=lambda g: (g[0].number is None, g[0].number or 0))
