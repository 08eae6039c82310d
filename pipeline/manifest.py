"""What a folder of shards holds: `manifest.json`, written last and checked first."""

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Self

import mri_contrast.slices
from pipeline.contrasts import CLASSES
from pipeline.files import as_json, sha256_of, write_json
from pipeline.splits import SPLITS

SCHEMA: Final = 2
"""Rises whenever a reader of older records or manifests would misread newer ones."""

NAME: Final = "manifest.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """One finished file of records.

    Attributes:
        file: Name within the folder.
        split: `train`, `validation` or `test`.
        records: Number of slices.
        bytes: Size of the file.
        sha256: Hexadecimal digest of the file.
    """

    file: str
    split: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """Describes a finished folder of shards; a pure function of what it was made from.

    Attributes:
        schema: Version of the records and of this file.
        slicer: `mri_contrast.slices.VERSION` that cut the slices.
        classes: Names that the labels index.
        slices: Number of slices by split and class.
        scans: Number of scans by split and class.
        subjects: Number of subjects by split.
        rejected: Number of scans that could not be used; `rejected.csv` names them.
        shards: The files, in order.
        config: What made it: source, seed, split shares and so on.
        sha256: Digest of `manifest.json`; ties a model to its data.
    """

    schema: int
    slicer: int
    classes: tuple[str, ...]
    slices: dict[str, dict[str, int]]
    scans: dict[str, dict[str, int]]
    subjects: dict[str, int]
    rejected: int
    shards: tuple[Shard, ...]
    config: dict[str, Any]
    sha256: str = ""

    def of_split(self, split: str) -> tuple[Shard, ...]:
        """Returns the shards of a split, in order.

        Raises:
            ValueError: There is no such split, or it is empty.
        """
        shards = tuple(shard for shard in self.shards if shard.split == split)
        if not sum(shard.records for shard in shards):
            filled = [
                name for name, counts in self.slices.items() if any(counts.values())
            ]
            raise ValueError(
                f"the shards hold no {split!r} slices, only {', '.join(filled)}; "
                "build them from more subjects or with another share"
            )
        return shards

    def count(self, split: str) -> int:
        """Returns the number of slices in a split."""
        return sum(self.slices.get(split, {}).values())

    def save(self, folder: Path) -> None:
        """Writes `manifest.json`."""
        write_json(folder / NAME, self._content())

    def is_saved(self, folder: Path) -> bool:
        """Tells whether `manifest.json` holds just this."""
        path = folder / NAME
        text = as_json(self._content()).encode()
        return path.is_file() and path.read_bytes() == text

    def _content(self) -> dict[str, Any]:
        content = dataclasses.asdict(self)
        del content["sha256"]
        return content

    @classmethod
    def parse(cls, content: dict[str, Any], sha256: str) -> Self:
        """Builds a manifest from the content of `manifest.json`.

        Raises:
            ValueError: Something is missing, or of another kind.
        """
        _check_content(content)
        shards = tuple(Shard(**shard) for shard in content["shards"])
        classes = tuple(content["classes"])
        given = {**content, "classes": classes, "shards": shards, "sha256": sha256}
        return cls(**given)


def _check_content(content: dict[str, Any]) -> None:
    """Raises a ValueError that names what a manifest lacks or has too much."""
    fields = {field.name for field in dataclasses.fields(Manifest)} - {"sha256"}
    _check_names("it", content, fields)
    if not isinstance(content["config"], dict):
        raise ValueError("it records no configuration")
    _check_number("rejected", content["rejected"])
    _check_names("subjects", content["subjects"], SPLITS)
    for split in SPLITS:
        _check_number(f"subjects of {split}", content["subjects"][split])
    for kind in ("slices", "scans"):
        _check_names(kind, content[kind], SPLITS)
        for split, counts in content[kind].items():
            _check_names(f"{kind} of {split}", counts, CLASSES)
            for name, count in counts.items():
                _check_number(f"{kind} of {split}, {name},", count)
    if not isinstance(content["shards"], list):
        raise ValueError("shards is no list")
    of_shard = [field.name for field in dataclasses.fields(Shard)]
    for number, shard in enumerate(content["shards"]):
        _check_names(f"shard {number}", shard, of_shard)
        for name in ("file", "sha256"):
            if not isinstance(shard[name], str):
                raise ValueError(f"{name} of shard {number} is no text")
        if shard["split"] not in SPLITS:
            raise ValueError(f"shard {number} is of no split: {shard['split']!r}")
        for name in ("records", "bytes"):
            _check_number(f"{name} of shard {number}", shard[name])


def _check_names(what: str, found: object, names: Collection[str]) -> None:
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no mapping")
    for verb, differing in (
        ("lacks", set(names) - found.keys()),
        ("has unknown", found.keys() - set(names)),
    ):
        if differing:
            raise ValueError(f"{what} {verb} {', '.join(sorted(differing))}")


def _check_number(what: str, found: object) -> None:
    if type(found) is not int or found < 0:
        raise ValueError(f"{what} is no count: {found!r}")


def load_manifest(folder: Path) -> Manifest:
    """Loads the manifest of a folder of shards and checks it against the folder.

    Args:
        folder: What `python -m pipeline.shards` wrote.

    Raises:
        FileNotFoundError: There is no finished build in the folder, or a shard is gone.
        ValueError: The shards were made by an incompatible version, for other classes
            or another slicer, or a file has another size than recorded.
    """
    manifest = read_manifest(folder)
    for shard in manifest.shards:
        file = folder / shard.file
        size = file.stat().st_size if file.is_file() else None
        if size != shard.bytes:
            found = "is missing" if size is None else f"has {size} bytes"
            raise (FileNotFoundError if size is None else ValueError)(
                f"{file} {found}, the manifest says {shard.bytes} bytes; run "
                "`make shards` again, it redoes only what is damaged"
            )
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Loads the manifest of a folder of shards; looks at no shard.

    Raises:
        FileNotFoundError: There is no finished build in the folder.
        ValueError: The manifest is damaged, or the shards were made by an incompatible
            version, for other classes or another slicer.
    """
    path = folder / NAME
    content = read_manifest_json(folder)
    _check_versions(path, content)
    try:
        return Manifest.parse(content, sha256_of(path))
    except ValueError as error:
        raise _damaged(path, error) from None


def read_manifest_json(folder: Path) -> dict[str, Any]:
    """Reads `manifest.json`, whatever version it is of.

    Raises:
        FileNotFoundError: There is no finished build in the folder.
        ValueError: It is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {NAME}, so it is no finished set of shards; make one "
            "with `make shards`, or name another with SHARDS="
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error) from None
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise _damaged(path, "it records no configuration")
    return content


def _damaged(path: Path, why: object) -> ValueError:
    return ValueError(
        f"{path} is damaged ({why}); run `make shards` again, it writes it anew"
    )


def _check_versions(path: Path, content: dict[str, Any]) -> None:
    expected = {
        "schema": SCHEMA,
        "slicer": mri_contrast.slices.VERSION,
        "classes": list(CLASSES),
    }
    for name, value in expected.items():
        found = content.get(name)
        if found != value:
            raise ValueError(
                f"{path} has {name} {found}, this program needs {value}; build the "
                "shards again with `make shards`"
            )
