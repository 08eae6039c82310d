"""Packs the slices into the formats that the peers read best.

.venv-peers/bin/python -m bench.peers.pack FOLDER
"""

import io
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bench.peers.raw import Forms

FILES: Final = 8
"""As many as there are shards of 4096 slices."""


def pack(forms: Forms) -> None:
    """Writes what is not there yet."""
    for folder, write in ((forms.arrayrecord, _arrayrecord), (forms.tar, _tar)):
        if not folder.is_dir():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            _write_files(forms, unfinished, write)
            unfinished.rename(folder)


def _write_files(
    forms: Forms, folder: Path, write: Callable[[Path, Iterator[bytes]], None]
) -> None:
    images, labels = forms.read()
    for number in range(FILES):
        chosen = range(number, len(labels), FILES)
        records = (labels[i].tobytes() + images[i].tobytes() for i in chosen)
        write(folder / f"part-{number:05d}", records)


def _arrayrecord(path: Path, records: Iterator[bytes]) -> None:
    from array_record.python import array_record_module

    # One record a group: grain's data source logs an error about anything else. And no
    # compression, which costs least to read.
    options = "group_size:1,uncompressed"
    writer = array_record_module.ArrayRecordWriter(f"{path}.arrayrecord", options)
    for record in records:
        writer.write(record)
    writer.close()


def _tar(path: Path, records: Iterator[bytes]) -> None:
    with tarfile.open(f"{path}.tar", "w") as archive:
        for number, record in enumerate(records):
            member = tarfile.TarInfo(f"{path.name}-{number:06d}.bin")
            member.size = len(record)
            archive.addfile(member, io.BytesIO(record))


if __name__ == "__main__":
    pack(Forms(Path(sys.argv[1])))
