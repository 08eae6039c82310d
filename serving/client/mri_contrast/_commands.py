"""What the command does once its options are read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mri_contrast._bids import NotRenamed, rename, write_sidecar
from mri_contrast._jobs import each_source
from mri_contrast._language import Language
from mri_contrast._printing import CheckRow, Printer, Progress, Row, complaints
from mri_contrast.answers import Result
from mri_contrast.checks import Check
from mri_contrast.client import Client
from mri_contrast.errors import UnreadableScan

if TYPE_CHECKING:
    from mri_contrast._sheet import Sheet

DONE, FAILED, NOT_OK = 0, 2, 3


def identify(client: Client, options: argparse.Namespace, say: Language) -> int:
    """Asks for every scan; a bad one never stops the rest."""
    printer = Printer(Row, options.style, sys.stdout, say)
    sheet = None if options.sheet is None else _sheet(options.sheet)
    paths = [file for file, _ in each_source(options.path)]
    progress = Progress(len(paths), say)
    code = DONE
    try:
        for result in client.identify_many(
            paths, journal=options.journal, ahead=options.ahead
        ):
            printer.print(Row.of(result))
            progress.advance(result.file)
            complaints(list(_remarks(result, say)), progress)
            if sheet is not None:
                sheet.add(result)
            if options.bids or options.rename:
                complaints(list(_into_bids(result, options.rename, say)), progress)
            if result.error is not None:
                code = FAILED
    finally:
        progress.clear()
        if sheet is not None:  # also of what was done before an interruption
            sheet.save()
    return code


def _sheet(path: str) -> Sheet:
    from mri_contrast._sheet import Sheet  # Pillow, which most runs need not load

    return Sheet(Path(path))


def _remarks(result: Result, say: Language) -> Iterator[str]:
    """What people should know of a result beside its row."""
    if result.error is not None:
        yield f"{result.file}: {say.error(result.error)}"
    if result.answer is not None:
        for note in result.answer.notes:
            yield f"{result.file}: {note}"
        for reason in result.answer.conflict:
            told = say("conflict: {reason}", reason=say.reason(reason))
            yield f"{result.file}: {told}"


def _into_bids(result: Result, renamed: bool, say: Language) -> Iterator[str]:
    write_sidecar(result)
    if renamed:
        try:
            rename(result)
        except NotRenamed as taken:
            told = say("not renamed: {name} is there already", name=taken)
            yield f"{result.file}: {told}"


def check(client: Client, options: argparse.Namespace, say: Language) -> int:
    """Asks whether scans are what they should be; 3 where one is not."""
    printer = Printer(CheckRow, options.style, sys.stdout, say)
    code = DONE
    for file, found, belongs_to in _checks(client, options):
        printer.print(CheckRow.of(file, found, belongs_to))
        complaints(list(_findings(file, found, belongs_to, say)))
        if found.error is not None:
            code = FAILED
        elif not found.ok and code == DONE:
            code = NOT_OK
    return code


def _checks(
    client: Client, options: argparse.Namespace
) -> Iterator[tuple[str, Check, str | None]]:
    """Path, check and the slot it was swapped with."""
    if options.expected is None:
        slots = dict(given.split("=", 1) for given in options.path)
        upload = client.check_upload(slots)
        for slot, found in upload.slots.items():
            yield slots[slot], found, upload.swapped.get(slot)
        return
    for path in options.path:
        try:
            yield path, client.check(path, options.expected), None
        except UnreadableScan as error:
            refused = Check("not usable", options.expected, None, 0.0, error=error)
            yield path, refused, None


def _findings(
    file: str, found: Check, belongs_to: str | None, say: Language
) -> Iterator[str]:
    if found.error is not None:
        yield f"{file}: {say.error(found.error)}"
    if belongs_to is not None:
        yield f"{file}: {say('put it into slot {slot}', slot=belongs_to)}"
    for reason in found.conflict:
        yield f"{file}: {say('conflict: {reason}', reason=say.reason(reason))}"


def status(client: Client, say: Language) -> int:
    """Prints the versions; fails where none is ready to answer."""
    versions = client.model_status()
    print(f"{say('VERSION'):<7}  {say('STATE')}")
    for found in versions:
        print(f"{found.version:>7}  {found.state:<9}  {found.error}".rstrip())
    if any(found.state == "AVAILABLE" for found in versions):
        return DONE
    reason = "no version is available; wait for it to load, or read the server's log"
    complaints([say(reason)])
    return FAILED
