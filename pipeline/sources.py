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
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
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

    def read(self) -> Scan:
        """Reads the voxels.

        Raises:
            UnreadableScan: The file is damaged or of a kind that is not supported.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class FileScan:
    """A labelled file, or a folder with the files of one DICOM series.

    Attributes:
        path: Where it lies.
        stamp: Bytes and time of the last change in ns; tells whether a shard made
            from it is still current.
    """

    name: str
    contrast: str
    subject: str
    source: str
    split: str | None
    path: Path
    stamp: tuple[int, int]

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
    layout, scans = _find(root)
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
    if len(scans) > _ALL_APART and len({scan.subject for scan in scans}) == len(scans):
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
    return list(scans)


def _find(root: Path) -> tuple[str, list[FileScan]]:
    """Recognises the layout by looking."""
    if root.is_file():
        if root.suffix.lower() != ".csv":
            raise ValueError(f"{root} is no CSV file; name a folder or a .csv file")
        return "CSV", list(_from_csv(root))
    folders = _visible(root, folders=True)
    names = [folder.name for folder in folders]
    if any(name.startswith("sub-") for name in names):
        return "BIDS", list(_from_bids(root))
    splits = [name for name in names if name.lower() in SPLIT_FOLDERS]
    if splits:
        others = sorted(set(names) - set(splits))
        if others:
            raise ValueError(
                f"{root} mixes split folders ({', '.join(splits)}) with "
                f"{', '.join(others)}; keep only split folders in it"
            )
        return "split folders", [
            scan
            for folder in folders
            for scan in _from_classes(root, folder, SPLIT_FOLDERS[folder.name.lower()])
        ]
    return "class folders", list(_from_classes(root, root, None))


def _from_classes(root: Path, parent: Path, split: str | None) -> Iterator[FileScan]:
    for folder in _visible(parent, folders=True):
        try:
            contrast = contrast_of(folder.name)
        except ValueError as error:
            raise ValueError(f"unknown class folder {folder}: {error}") from None
        for path in _visible(folder):
            if not path.is_dir():
                yield _file_scan(root, path, contrast, subject_of(path.name), split)
                continue
            images = [p for p in _visible(path) if p.name.lower().endswith(_IMAGES)]
            for scan in images or [path]:
                yield _file_scan(root, scan, contrast, path.name, split)


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
        for row in rows:
            name = (row["path"] or "").strip()
            where = f"{table}, line {rows.line_num}"
            if not name or name in seen:
                raise ValueError(f"{where}: path {name!r} is empty or there twice")
            seen.add(name)
            yield _csv_scan(table, name, row, where)


def _csv_scan(
    table: Path, name: str, row: dict[str, str | None], where: str
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
    path = table.parent / name
    return FileScan(
        name=name,
        contrast=contrast,
        subject=(row.get("subject") or "").strip() or subject_of(path.name),
        source=(row.get("source") or "").strip() or table.stem,
        split=None if split is None else SPLIT_FOLDERS[split],
        path=path,
        stamp=_stamp(path),
    )


def _from_bids(root: Path) -> Iterator[FileScan]:
    left_out: Counter[str] = Counter()
    for subject in _visible(root, folders=True):
        if not subject.name.startswith("sub-"):
            continue
        for path in sorted((*subject.rglob("*.nii"), *subject.rglob("*.nii.gz"))):
            entities = path.name.split(".")[0].split("_")
            if entities[-1] in _BIDS_AMBIGUOUS:
                left_out[entities[-1]] += 1
                continue
            contrast = contrast_of_bids(entities)
            yield _file_scan(root, path, contrast, subject.name, None)
    if left_out:
        counts = ", ".join(f"{count} {name}" for name, count in left_out.items())
        _log.info("left out, since they show two contrasts or none: %s", counts)


def _file_scan(
    root: Path, path: Path, contrast: str, subject: str, split: str | None
) -> FileScan:
    name = path.relative_to(root).as_posix()
    return FileScan(
        name, contrast, subject, root.resolve().name, split, path, _stamp(path)
    )


def _stamp(path: Path) -> tuple[int, int]:
    if not path.exists():  # A CSV may name it: rejected, with its name, when read.
        return 0, 0
    files = path.rglob("*") if path.is_dir() else [path]
    stats = [file.stat() for file in files if file.is_file()]
    return sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0)


def _visible(folder: Path, *, folders: bool = False) -> list[Path]:
    """Sorted content of a folder, without hidden files and what is no scan."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith((".", "__MACOSX"))
        and (path.is_dir() if folders else path.suffix.lower() not in _NO_SCANS)
        and not _has_header(path)
    )


def _has_header(path: Path) -> bool:
    """Tells whether a file holds the voxels of the header beside it."""
    for voxels, header in ((".img", ".hdr"), (".IMG", ".HDR"), (".img.gz", ".hdr.gz")):
        if path.name.endswith(voxels):
            return path.with_name(path.name.removesuffix(voxels) + header).is_file()
    return False
