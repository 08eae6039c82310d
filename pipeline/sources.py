"""Finds labelled scans: class folders, split folders, a CSV, BIDS.

Which layout a folder has is found by looking, and logged:

- **Class folders**: `T1/`, `T2/`, `flair/`, `other/` (any name that
  `pipeline.contrasts` knows). Each holds files, folders of files of one subject, or
  one folder for each DICOM scan.
- **Split folders**: `train/`, `validation/`, `test/`, or the study's `entrenamiento/`,
  `validacion/`, `test/`, each with class folders.
- **CSV**: `path,label[,subject][,split][,source]`, paths relative to the file.
- **BIDS**: `sub-01[/ses-x]/anat/sub-01_T1w.nii.gz`.

The subject is the CSV's column, BIDS's `sub-01`, the `497` of `T1_497_3.png` (one
person, whichever class the name begins with), the `IXI002-Guys` of `IXI002-Guys-T1`,
the folder inside a class folder, and where nothing of the kind is there the file's
stem.
"""

import csv
import dataclasses
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Final, Protocol, runtime_checkable

from mri_contrast.scans import Scan, read_scan
from pipeline.contrasts import ACCEPTED, CLASSES, contrast_of
from pipeline.names import contrast_of_bids, subject_of

_log = logging.getLogger(__name__)

SPLIT_FOLDERS: Final = {
    **dict.fromkeys(("train", "training", "entrenamiento"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("validacion", "validación"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}

_ALL_APART: Final = 20
"""So many scans of as many people are worth a question."""

_IMAGES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nii", ".nii.gz")
_NO_SCANS: Final = (
    *(".json", ".txt", ".md", ".csv", ".tsv", ".html", ".xml", ".pdf"),
    *(".bval", ".bvec", ".db", ".ini", ".log", ".partial"),
)
"""What lies beside scans and is none. All else is tried, and rejected with a reason."""

_BIDS_AMBIGUOUS: Final = ("UNIT1", "MP2RAGE", "PDT2", "mask", "defacemask", "dseg")
"""Two contrasts in one file, or none: left out rather than labelled."""


@runtime_checkable
class LabelledScan(Protocol):
    """A scan whose contrast is known; picklable, and read only when asked."""

    @property
    def name(self) -> str:
        """Path relative to the data's root, or `phantom-000123`."""

    @property
    def contrast(self) -> str:
        """One of `pipeline.contrasts.CLASSES`."""

    @property
    def subject(self) -> str:
        """The person: all scans of a subject go to the same split."""

    @property
    def source(self) -> str:
        """Where it comes from: a data set, or `phantom/<protocol family>`."""

    @property
    def split(self) -> str | None:
        """`train`, `validation` or `test` where the source fixes it."""

    def stamp(self) -> tuple[int, int]:
        """Bytes and time of the last change in ns: whether it is still the same."""

    def read(self) -> Scan:
        """Reads the voxels.

        Raises:
            UnreadableScan: The file is damaged or of a kind that is not supported.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class FileScan:
    """A labelled file, or a folder with the files of one DICOM series.

    Ten million of them fit into memory: the name is the only text of its own, and the
    disk is asked for size and time where the scan is cut.

    Attributes:
        root: What `name` is relative to; absolute.
    """

    name: str
    contrast: str
    subject: str
    source: str
    split: str | None
    root: Path

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / self.name

    def stamp(self) -> tuple[int, int]:
        """Bytes and time of the last change in ns; zeros where there is nothing."""
        path = self.path
        if not path.exists():  # A CSV may name it: rejected, with its name, when read.
            return 0, 0
        files = path.rglob("*") if path.is_dir() else [path]
        stats = [file.stat() for file in files if file.is_file()]
        return (
            sum(stat.st_size for stat in stats),
            max((stat.st_mtime_ns for stat in stats), default=0),
        )

    def read(self) -> Scan:
        """Reads the voxels; raises `UnreadableScan` where that fails."""
        return read_scan(self.path)


def find_scans(root: Path, *, required: Sequence[str] = ACCEPTED) -> list[LabelledScan]:
    """Finds the labelled scans of a data set, in a fixed order.

    Args:
        root: Folder, or CSV file.
        required: Classes of which there must be at least one scan.

    Returns:
        The scans, ordered by name; none has been opened yet.

    Raises:
        FileNotFoundError: `root` does not exist.
        ValueError: No layout is recognised, a folder or label names no class, or a
            required class is missing.
    """
    if not root.exists():
        raise FileNotFoundError(f"{root} does not exist; name a folder or a CSV file")
    layout, found_scans = _find(root)
    scans: list[LabelledScan] = list(found_scans)
    scans.sort(key=lambda scan: scan.name)
    if not scans:
        raise ValueError(
            f"{root} ({layout}) holds no scans; put PNG, JPEG, TIFF, NIfTI or DICOM "
            f"files into folders named {', '.join(CLASSES)}"
        )
    counts = Counter(scan.contrast for scan in scans)
    found = ", ".join(f"{counts[name]} {name}" for name in CLASSES)
    _log.info("%s: %s, %d scans: %s", root, layout, len(scans), found)
    missing = [name for name in required if not counts[name]]
    if missing:
        raise ValueError(
            f"{root} ({layout}) holds no {' and no '.join(missing)} scan, only {found};"
            f" add scans of each of {', '.join(required)}"
        )
    if len(scans) > _ALL_APART and _all_apart(scans):
        _log.warning(
            "no two of the %d scans share a subject; if some are of one person, they "
            "may land in different splits: name subjects in a CSV (docs/train.md)",
            len(scans),
        )
    if not counts["other"]:
        _log.warning(
            "no scan of the class 'other': the network will not learn to turn away "
            "what is no T1, T2 or FLAIR; add some, for example simulated ones"
        )
    return scans


def _all_apart(scans: Sequence[LabelledScan]) -> bool:
    """Tells whether no two share a subject; mostly the first few show that some do."""
    seen: set[str] = set()
    for scan in scans:
        if scan.subject in seen:
            return False
        seen.add(scan.subject)
    return True


def _find(root: Path) -> tuple[str, Iterable[FileScan]]:
    """Recognises the layout by looking."""
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
                yield FileScan(
                    scan, contrast, sys.intern(subject), source, split, where
                )


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
    try:
        contrast = contrast_of(row["label"] or "")
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
            yield FileScan(name, contrast, subject, source, None, where)
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
