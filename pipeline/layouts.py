"""Recognises how a folder of labelled scans is laid out, and lists what lies in it.

Which layout a folder has is found by looking, and logged:

- **Class folders**: `T1/`, `T2/`, `flair/`, `other/` (any name that
  `pipeline.contrasts` knows). Each holds files, folders of files of one subject, or
  one folder for each DICOM scan.
- **Split folders**: `train/`, `validation/`, `test/`, or the study's `entrenamiento/`,
  `validacion/`, `test/`, each with class folders.
- **CSV**: `path,label[,subject][,split][,source]`, paths relative to the file.
- **BIDS**: `sub-01[/ses-x]/anat/sub-01_T1w.nii.gz`.
"""

import csv
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Final

from pipeline.contrasts import contrast_of, names_gadolinium
from pipeline.labelled import UNKNOWN, FileScan
from pipeline.names import bids_names_gadolinium, contrast_of_bids, subject_of

_log = logging.getLogger(__name__)

SPLIT_FOLDERS: Final = {
    **dict.fromkeys(("train", "training", "entrenamiento"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("validacion", "validación"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}

_IMAGES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nii", ".nii.gz")
_NO_SCANS: Final = (
    *(".json", ".txt", ".md", ".csv", ".tsv", ".html", ".xml", ".pdf"),
    *(".bval", ".bvec", ".db", ".ini", ".log", ".partial"),
)
"""What lies beside scans and is none. All else is tried, and rejected with a reason."""

_BIDS_AMBIGUOUS: Final = ("UNIT1", "MP2RAGE", "PDT2", "mask", "defacemask", "dseg")
"""Two contrasts in one file, or none: left out rather than labelled."""


def recognise(root: Path) -> tuple[str, Iterable[FileScan]]:
    """Recognises a layout by looking.

    Args:
        root: Folder, or CSV file.

    Returns:
        The layout's name, and the scans as they are found; none is opened.

    Raises:
        ValueError: A folder, label or split has a name that nothing is known by, here
            or while the scans are listed.
    """
    if root.is_file():
        if root.suffix.lower() != ".csv":
            raise ValueError(f"{root} is no CSV file; name a folder or a .csv file")
        return "CSV", _from_csv(root)
    names = _folders(root)
    if any(name.startswith("sub-") for name in names):
        return "BIDS", _from_bids(root)
    splits = [name for name in names if name.lower() in SPLIT_FOLDERS]
    if splits:
        others = sorted(set(names) - set(splits))
        if others:
            raise ValueError(
                f"{root} mixes split folders ({', '.join(splits)}) with "
                f"{', '.join(others)}; keep only split folders in it"
            )
        return "split folders", (
            scan
            for name in names
            for scan in _from_classes(root, f"{name}/", SPLIT_FOLDERS[name.lower()])
        )
    return "class folders", _from_classes(root, "", None)


def _from_classes(root: Path, parent: str, split: str | None) -> Iterator[FileScan]:
    """Lists the files in class folders.

    Args:
        root: Folder of the data.
        parent: Where in it the class folders lie: empty, or with a slash at the end.
        split: The split that `parent` stands for.
    """
    source = root.resolve().name
    where = root.resolve()
    for folder in _folders(root / parent):
        try:
            contrast = contrast_of(folder)
        except ValueError as error:
            raise ValueError(
                f"unknown class folder {root / parent / folder}: {error}"
            ) from None
        gadolinium = 1 if names_gadolinium(folder) else UNKNOWN
        here = f"{parent}{folder}"
        # Millions of files may lie in one folder: no list of them is made here.
        for entry in _visible(root / here):
            subject = subject_of(entry.name)
            names = [f"{here}/{entry.name}"]
            if entry.is_dir():
                subject = entry.name
                images = [
                    f"{here}/{entry.name}/{image.name}"
                    for image in _visible(Path(entry.path))
                    if image.name.lower().endswith(_IMAGES)
                ]
                names = images or names
            for scan in names:
                person = sys.intern(subject)
                yield FileScan(scan, contrast, person, source, split, where, gadolinium)


def _from_csv(table: Path) -> Iterator[FileScan]:
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = {"path", "label"} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(
                f"{table} has no column {' and no '.join(sorted(missing))}; its first "
                "line must be path,label[,subject][,split][,source]"
            )
        seen: set[str] = set()
        root = table.parent.resolve()
        for row in rows:
            name = (row["path"] or "").strip()
            where = f"{table}, line {rows.line_num}"
            if not name or name in seen:
                raise ValueError(f"{where}: path {name!r} is empty or there twice")
            seen.add(name)
            yield _csv_scan(root, name, row, where, table.stem)


def _csv_scan(
    root: Path, name: str, row: dict[str, str | None], where: str, source: str
) -> FileScan:
    split = (row.get("split") or "").strip().lower() or None
    if split is not None and split not in SPLIT_FOLDERS:
        raise ValueError(
            f"{where}: split {split!r}; write one of {', '.join(SPLIT_FOLDERS)}"
        )
    label = row["label"] or ""
    try:
        contrast = contrast_of(label)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    subject = (row.get("subject") or "").strip() or subject_of(PurePath(name).name)
    return FileScan(
        name=name,
        contrast=contrast,
        subject=sys.intern(subject),
        source=sys.intern((row.get("source") or "").strip() or source),
        split=None if split is None else SPLIT_FOLDERS[split],
        root=root,
        gadolinium=1 if names_gadolinium(label) else UNKNOWN,
    )


def _from_bids(root: Path) -> Iterator[FileScan]:
    left_out: Counter[str] = Counter()
    source = root.resolve().name
    where = root.resolve()
    for subject in _folders(root):
        if not subject.startswith("sub-"):
            continue
        folder = root / subject
        for path in sorted((*folder.rglob("*.nii"), *folder.rglob("*.nii.gz"))):
            entities = path.name.split(".")[0].split("_")
            if entities[-1] in _BIDS_AMBIGUOUS:
                left_out[entities[-1]] += 1
                continue
            contrast = contrast_of_bids(entities)
            name = path.relative_to(root).as_posix()
            gadolinium = 1 if bids_names_gadolinium(entities) else UNKNOWN
            yield FileScan(name, contrast, subject, source, None, where, gadolinium)
    if left_out:
        counts = ", ".join(f"{count} {name}" for name, count in left_out.items())
        _log.info("left out, since they show two contrasts or none: %s", counts)


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, in order."""
    return sorted(entry.name for entry in _visible(folder) if entry.is_dir())


def _visible(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields what is in a folder but hidden files and what is no scan, unordered."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if not (
                name.startswith((".", "__MACOSX"))
                or name.lower().endswith(_NO_SCANS)
                or _has_header(folder, name)
            ):
                yield entry


def _has_header(folder: Path, name: str) -> bool:
    """Tells whether a file holds the voxels of the header beside it."""
    for voxels, header in ((".img", ".hdr"), (".IMG", ".HDR"), (".img.gz", ".hdr.gz")):
        if name.endswith(voxels):
            return (folder / (name.removesuffix(voxels) + header)).is_file()
    return False
