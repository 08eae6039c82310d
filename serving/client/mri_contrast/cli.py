"""The command `mri-contrast`: identify or check scans, ask a server what it serves."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mri_contrast import __version__
from mri_contrast._commands import FAILED, check, identify, status
from mri_contrast._language import Language
from mri_contrast._printing import complaints
from mri_contrast.audit import Audit
from mri_contrast.client import Client
from mri_contrast.errors import MriContrastError
from mri_contrast.transport import Tls, Transport

INTERRUPTED = 130
_EXAMPLES = """\
examples:
  mri-contrast identify scan.nii.gz --server localhost:8500
  mri-contrast identify study.zip dicom_folder/ slice.png --server localhost:8500
  mri-contrast identify *.nii.gz --server mri-serving:8500 --csv > contrasts.csv
  mri-contrast identify uploads.csv --server mri-serving:8500 --journal done.jsonl
  mri-contrast identify scan.nii.gz --server mri-serving:8500 --label canary --json
  mri-contrast check T1=a.nii.gz FLAIR=b.nii.gz --server localhost:8500
  mri-contrast status --server localhost:8500

exit codes: 0 all done; 2 wrong use, a scan that could not be read or a server that did
not answer; 3 (check) a scan that is not what its slot expects; 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: without the program's name; from the command line if None.

    Returns:
        The exit code: 0, 2, 3 or 130.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names need not be valid text
            stream.reconfigure(errors="surrogateescape")
    say = Language.of_environment()
    parser = _parser(say)
    options = parser.parse_args(arguments)
    if options.command == "check":
        _require_slots(parser, options)
    try:
        with _client(options) as client:
            if options.command == "status":
                return status(client, say)
            command = check if options.command == "check" else identify
            return command(client, options, say)
    except KeyboardInterrupt:
        complaints([say("interrupted; what is printed is complete")])
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (MriContrastError, OSError, ValueError) as error:
        complaints([say.error(error)])
        return FAILED


def _require_slots(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> None:
    slots = [path.partition("=")[0] for path in options.path if "=" in path]
    if options.expected is None and len(slots) < len(options.path):
        parser.error("give SLOT=PATH, such as T1=a.nii.gz, or --expected T1")
    if options.expected is None and len(set(slots)) < len(slots):
        parser.error("a slot is given twice; check one upload at a time")


def _client(options: argparse.Namespace) -> Client:
    return Client(
        options.server,
        model=options.model,
        label=options.label,
        version=options.version,
        timeout=options.timeout,
        accept=getattr(options, "accept", None),
        planes=getattr(options, "planes", "all"),
        transport=_transport(options),
        audit=Audit(options.audit) if getattr(options, "audit", None) else None,
    )


def _transport(options: argparse.Namespace) -> Transport:
    given = (options.ca, options.cert, options.key)
    tls = options.tls or any(given)
    token = None if options.token_file is None else Path(options.token_file)
    return Transport(
        tls=Tls(*given) if tls else False,
        metadata=()
        if token is None
        else lambda: [("authorization", f"Bearer {token.read_text().strip()}")],
    )


def _parser(say: Language) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mri-contrast",
        description=say(
            "Tells which contrast brain MRI scans have: T1, T2, FLAIR, other."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_identify(commands, say)
    _add_check(commands, say)
    asked = commands.add_parser("status", help=say("list the model's versions"))
    _add_server(asked, say)
    return parser


def _add_identify(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], say: Language
) -> None:
    parser = commands.add_parser(
        "identify",
        help=say("tell the contrast of scans"),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        nargs="+",
        metavar="PATH",
        help=say(
            "a scan, a folder or zip of them, a pattern, or a CSV list (column file)"
        ),
    )
    _add_server(parser, say)
    _add_asking(parser)
    parser.add_argument(
        "--journal",
        metavar="FILE",
        help="keep what is done: the same run started again does what is missing",
    )
    parser.add_argument(
        "--ahead",
        type=int,
        default=2,
        metavar="N",
        help="scans that are read and asked about at once (default: %(default)s)",
    )
    parser.add_argument(
        "--sheet", metavar="PNG", help="draw all scans with their verdicts"
    )
    parser.add_argument(
        "--bids", action="store_true", help="write the verdict into JSON sidecars"
    )
    parser.add_argument(
        "--rename",
        action="store_true",
        help="--bids, and give NIfTI files the suffix T1w, T2w or FLAIR",
    )


def _add_check(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], say: Language
) -> None:
    parser = commands.add_parser(
        "check", help=say("tell whether scans are in the right slot")
    )
    parser.add_argument(
        "path",
        nargs="+",
        metavar="SLOT=PATH",
        help=say("SLOT=PATH, such as T1=a.nii.gz, or PATH with --expected"),
    )
    parser.add_argument(
        "--expected", metavar="CONTRAST", help=say("what every PATH should be")
    )
    _add_server(parser, say)
    _add_asking(parser)


def _add_asking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept",
        type=float,
        metavar="P",
        help='least probability that is not "unsure" (default: the model\'s own)',
    )
    parser.add_argument(
        "--planes",
        choices=("all", "axial"),
        default="all",
        help="axial: send no slice that shows a face (default: %(default)s)",
    )
    parser.add_argument(
        "--audit", metavar="FILE", help="add a line without names for every decision"
    )
    style = parser.add_mutually_exclusive_group()
    for name, text in (("json", "one JSON object a line"), ("csv", "CSV")):
        style.add_argument(
            f"--{name}",
            dest="style",
            action="store_const",
            const=name,
            default="table",
            help=f"print {text} instead of a table",
        )


def _add_server(parser: argparse.ArgumentParser, say: Language) -> None:
    parser.add_argument(
        "--server",
        required=True,
        metavar="HOST:PORT",
        help=say("the server's gRPC port"),
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
    parser.add_argument("--tls", action="store_true", help="connect by TLS")
    parser.add_argument("--ca", metavar="PEM", help="who signed the server, for TLS")
    parser.add_argument("--cert", metavar="PEM", help="who we are, for mutual TLS")
    parser.add_argument("--key", metavar="PEM", help="the private key of --cert")
    parser.add_argument(
        "--token-file", metavar="FILE", help="a bearer token, read for every call"
    )


if __name__ == "__main__":
    sys.exit(main())
