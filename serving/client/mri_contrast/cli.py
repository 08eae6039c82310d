"""The command `mri-contrast`: identify scans, or ask a server what it serves."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from mri_contrast import __version__
from mri_contrast.answers import Answer
from mri_contrast.client import Client
from mri_contrast.errors import (
    ClientTooOld,
    ModelNotFound,
    MriContrastError,
    ServerUnavailable,
    UnreadableScan,
)
from mri_contrast.scans import Part, find_parts

DONE, FAILED, INTERRUPTED = 0, 2, 130
# After these, the next scan would fail just the same.
_HOPELESS = (ServerUnavailable, ModelNotFound, ClientTooOld)
_EXAMPLES = """\
examples:
  mri-contrast identify scan.nii.gz --server localhost:8500
  mri-contrast identify study.zip dicom_folder/ slice.png --server localhost:8500
  mri-contrast identify *.nii.gz --server mri-serving:8500 --csv > contrasts.csv
  mri-contrast identify scan.nii.gz --server mri-serving:8500 --label canary --json
  mri-contrast status --server localhost:8500

exit codes: 0 all done; 2 wrong use, a scan that could not be read or a server that did
not answer; 130 interrupted
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the output; all but file, part and error are None on failure.

    Attributes:
        gadolinium: as in `Answer`, where the contrast is T1; else None, since it means
            nothing there.
    """

    file: str
    part: str | None = None
    contrast: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    slices: int | None = None
    model_version: int | None = None
    gadolinium: float | None = None
    error: str | None = None


class Printer:
    """Writes rows as a table, as CSV or as one JSON object a line."""

    def __init__(self, style: str, out: TextIO) -> None:
        self._style, self._out = style, out
        names = [field.name for field in dataclasses.fields(Row)]
        self._csv = csv.DictWriter(out, names, lineterminator="\n")
        if style == "csv":
            self._csv.writeheader()
        elif style == "table":
            print("CONTRAST  PROBABILITY  SLICES  VERSION  FILE", file=out)

    def print(self, row: Row) -> None:
        """Writes one row at once, so that a reader at the other end can go on."""
        fields = dataclasses.asdict(row)
        if self._style == "json":
            print(json.dumps(fields), file=self._out)
        elif self._style == "csv":
            if row.probabilities is not None:
                fields["probabilities"] = json.dumps(row.probabilities)
            self._csv.writerow(fields)
        else:
            print(_table_line(row), file=self._out)
        self._out.flush()


def _table_line(row: Row) -> str:
    file = row.file if row.part is None else f"{row.file} [{row.part}]"
    if row.probability is None:
        return f"{'-':<8}  {'-':>11}  {'-':>6}  {'-':>7}  {file}"
    return (
        f"{row.contrast:<8}  {row.probability:>11.1%}  {row.slices:>6}  "
        f"{row.model_version:>7}  {file}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: without the program's name; from the command line if None.

    Returns:
        The exit code: 0, 2 or 130.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names need not be valid text
            stream.reconfigure(errors="surrogateescape")
    try:
        options = _parser().parse_args(arguments)
        with _client(options) as client:
            return (
                _status(client)
                if options.command == "status"
                else _identify(client, options.path, Printer(options.style, sys.stdout))
            )
    except KeyboardInterrupt:
        _complain("interrupted; what is printed is complete")
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except MriContrastError as error:
        _complain(str(error))
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mri-contrast",
        description="Tells which contrast brain MRI scans have: T1, T2, FLAIR, other.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    identify = commands.add_parser(
        "identify",
        help="tell the contrast of scans",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    identify.add_argument(
        "path",
        nargs="+",
        metavar="PATH",
        help="PNG, JPEG, TIFF, NIfTI or DICOM; or a folder or zip of them",
    )
    _add_server(identify)
    identify.add_argument(
        "--accept",
        type=float,
        metavar="P",
        help='least probability that is not "unsure" (default: the model\'s own)',
    )
    style = identify.add_mutually_exclusive_group()
    for name, text in (("json", "one JSON object a line"), ("csv", "CSV")):
        style.add_argument(
            f"--{name}",
            dest="style",
            action="store_const",
            const=name,
            default="table",
            help=f"print {text} instead of a table",
        )
    status = commands.add_parser("status", help="list the model's versions")
    _add_server(status)
    return parser


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server", required=True, metavar="HOST:PORT", help="the server's gRPC port"
    )
    parser.add_argument(
        "--model", default="mri_contrast", help="(default: %(default)s)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--label", help="ask the version with this label")
    which.add_argument("--version", type=int, metavar="N", help="ask this version")
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds that an answer may take (default: %(default)s)",
    )


def _client(options: argparse.Namespace) -> Client:
    try:
        return Client(
            options.server,
            model=options.model,
            label=options.label,
            version=options.version,
            timeout=options.timeout,
            accept=getattr(options, "accept", None),
        )
    except ValueError as error:
        raise MriContrastError(str(error)) from error


def _identify(client: Client, paths: Sequence[str], printer: Printer) -> int:
    """Asks for every part of every path; a bad one never stops the rest."""
    code = DONE
    for row, error in _rows(client, paths):
        printer.print(row)
        if error is None:
            continue
        code = FAILED
        _complain(
            str(error) if isinstance(error, _HOPELESS) else f"{row.file}: {error}"
        )
        if isinstance(error, _HOPELESS):
            break
    return code


def _rows(
    client: Client, paths: Sequence[str]
) -> Iterator[tuple[Row, MriContrastError | None]]:
    for path in paths:
        try:
            parts = find_parts(path)
        except UnreadableScan as error:
            yield Row(path, error=str(error)), error
            continue
        for part in parts:
            try:
                answer = client.identify(part.read())
                for note in answer.notes:
                    _complain(f"{path}: {note}")
                yield _row(path, part, answer), None
            except MriContrastError as error:
                yield Row(path, part.name, error=str(error)), error


def _row(path: str, part: Part, answer: Answer) -> Row:
    return Row(
        file=path,
        part=part.name,
        contrast=answer.contrast,
        probability=answer.probability,
        probabilities=answer.probabilities,
        slices=answer.slices,
        model_version=answer.model_version,
        gadolinium=answer.gadolinium if answer.contrast == "T1" else None,
    )


def _status(client: Client) -> int:
    """Prints the versions; fails where none is ready to answer."""
    versions = client.model_status()
    print("VERSION  STATE")
    for found in versions:
        print(f"{found.version:>7}  {found.state:<9}  {found.error}".rstrip())
    if any(found.state == "AVAILABLE" for found in versions):
        return DONE
    _complain("no version is available; wait for it to load, or read the server's log")
    return FAILED


def _complain(reason: str) -> None:
    print(f"mri-contrast: {' '.join(reason.split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
