"""Digests of a version's files: what was published is what is served, or it is said.

`assets.extra/SHA256SUMS` has one line a file, as `sha256sum` writes them, so that a
shell can check a version, too: `cd models/mri_contrast/3`, then
`sha256sum --check --strict assets.extra/SHA256SUMS`.
"""

from pathlib import Path
from typing import Final

from pipeline.files import replacing, sha256_of

SUMS: Final = Path("assets.extra") / "SHA256SUMS"

_HEX: Final = frozenset("0123456789abcdef")
_DIGITS: Final = 64


def seal(folder: Path) -> None:
    """Notes the digests of files that have none yet; those that have one keep it.

    What was sealed before a check is so what was checked, whatever happened since.

    Args:
        folder: Of a SavedModel.

    Raises:
        ValueError: The digests that are there are damaged.
    """
    known = _read(folder) if (folder / SUMS).is_file() else {}
    new = _files(folder) - known.keys()
    _write(folder, known | {name: sha256_of(folder / name) for name in new})


def reseal(folder: Path, *names: Path) -> None:
    """Takes files as they are now, after they were changed on purpose.

    Args:
        folder: Of a SavedModel that is sealed.
        names: Of those files, within it.
    """
    changed = {name.as_posix(): sha256_of(folder / name) for name in names}
    _write(folder, _read(folder) | changed)


def is_sealed(folder: Path) -> bool:
    """Whether a version has digests: those of older programs have none."""
    return (folder / SUMS).is_file()


def damage(folder: Path) -> list[str]:
    """Returns what is wrong with a version's files, a sentence each.

    Args:
        folder: Of a version that is sealed.
    """
    try:
        known = _read(folder)
    except ValueError as error:
        return [str(error)]
    there = _files(folder)
    wrong = [
        f"{name} is damaged"
        for name in sorted(known.keys() & there)
        if sha256_of(folder / name) != known[name]
    ]
    missing = [f"{name} is missing" for name in sorted(known.keys() - there)]
    extra = [f"{name} was not published" for name in sorted(there - known.keys())]
    return wrong + missing + extra


def _files(folder: Path) -> set[str]:
    """Names of all files in a version but the one with the digests."""
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix() for path in paths} - {SUMS.as_posix()}


def _write(folder: Path, known: dict[str, str]) -> None:
    lines = (f"{digest}  {name}\n" for name, digest in sorted(known.items()))
    with replacing(folder / SUMS) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _read(folder: Path) -> dict[str, str]:
    known = {}
    text = (folder / SUMS).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        digest, between, name = line[:_DIGITS], line[_DIGITS : _DIGITS + 2], line[66:]
        if not (_HEX.issuperset(digest) and between == "  " and name):
            raise ValueError(f"{SUMS} is damaged in line {number}")
        known[name] = digest
    return known
