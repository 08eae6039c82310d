"""What a run over many files has done, kept through `kill -9` and power cuts."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeAlias

from mri_contrast import errors
from mri_contrast.answers import Answer, Result
from mri_contrast.errors import MriContrastError, UnreadableScan

_VERSION = 1
_Key: TypeAlias = "tuple[str, str | None]"


class Journal:
    """A file of JSON lines: who asks, then a result a line, on the disk when told.

    In memory is only where each result lies: 10 000 results take some 2 MB. Results of
    files that changed since (size or time) do not count, nor do failures of the server.
    """

    def __init__(self, path: str | os.PathLike[str], asked: dict[str, Any]) -> None:
        """Opens or makes the file.

        Args:
            path: of the file.
            asked: model, label, version, … ; must be the same each time.

        Raises:
            ValueError: it is no journal, or one of other questions.
            OSError: it cannot be read or written, or another run has it.
        """
        self._path = Path(path)
        self._file: IO[bytes] = self._path.open("a+b")
        self._lines: dict[_Key, int] = {}
        self._before: dict[_Key, list[int] | None] = {}  # as it was before it was read
        try:
            _lock(self._file)
            self._load({"journal": _VERSION, **asked})
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def find(self, file: str, part: str | None) -> Result | None:
        """The result of an earlier run, where the file has not changed since."""
        key = (str(Path(file).absolute()), part)
        stat = _stat(file, part)
        at = self._lines.get(key)
        kept = None if at is None else self._read(at)
        if kept is None or kept["stat"] != stat:
            self._before[key] = stat
            return None
        return Result(
            file=file,
            part=part,
            answer=_answer(kept["answer"]),
            error=_error(kept["error"]),
            repeated=True,
        )

    def add(self, result: Result) -> None:
        """Writes a result; it is on the disk when this returns.

        Failures that another try may mend are left out: they are asked again.
        """
        if result.error is not None and not isinstance(result.error, UnreadableScan):
            return
        answer = None if result.answer is None else dataclasses.asdict(result.answer)
        key = (str(Path(result.file).absolute()), result.part)
        self._append(
            {
                "file": key[0],
                "part": key[1],
                "stat": self._before.pop(key),
                "answer": answer,
                "error": None
                if result.error is None
                else [type(result.error).__name__, str(result.error)],
            }
        )

    def _read(self, at: int) -> dict[str, Any]:
        self._file.seek(at)
        kept: dict[str, Any] = json.loads(self._file.readline())
        return kept

    def _append(self, line: dict[str, Any]) -> None:
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        if "file" in line:
            self._lines[line["file"], line["part"]] = at

    def _load(self, head: dict[str, Any]) -> None:
        """Finds the results, and cuts off a line that was being written at a kill."""
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            self._take(line, end, head)
            end += len(line)
        self._file.truncate(end)
        if end == 0:
            self._append(head)

    def _take(self, line: bytes, at: int, head: dict[str, Any]) -> None:
        try:
            read = json.loads(line)
            if at > 0:
                self._lines[read["file"], read["part"]] = at
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                "the journal is damaged, or no journal; name another file"
            ) from None
        if at == 0 and read != head:
            raise ValueError(
                f"the journal belongs to other questions ({read}); these are {head}: "
                "name another file"
            )


def _lock(file: IO[bytes]) -> None:
    """One run at a time; the system lets go when the process ends, however it does."""
    if sys.platform == "win32":
        return  # where a file that is open cannot be shared by accident as easily
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(
            "another run has this journal; wait for it to end, or name another file"
        ) from None


def _stat(file: str, part: str | None) -> list[int] | None:
    """Size and time of change; of the part where that is a file of its own."""
    inside = Path(file, part) if part is not None else Path(file)
    for path in (inside, Path(file)):
        try:
            found = path.stat()
        except (OSError, ValueError):  # part of a zip, or a name no system allows
            continue
        return [found.st_size, found.st_mtime_ns]
    return None


def _answer(kept: dict[str, Any] | None) -> Answer | None:
    if kept is None:
        return None
    tuples = {name: tuple(kept[name]) for name in ("notes", "conflict")}
    return Answer(**{**kept, **tuples})


def _error(kept: list[str] | None) -> MriContrastError | None:
    if kept is None:
        return None
    error: MriContrastError = getattr(errors, kept[0])(kept[1])
    return error
