"""Fuzzes every reader in turn: `python -m tests.fuzz --seconds 600`.

Starts from `tests/fuzz/corpus`, keeps what reaches new branches in `build/fuzz`, and
adds up the inputs in `build/fuzz/inputs`, one file a target.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
WORK = Path("build/fuzz")
INPUTS = WORK / "inputs"
LIMITS = ["-timeout=60", "-report_slow_units=60", "-rss_limit_mb=2048", "-max_len=8192"]
"""Seconds (of the clock: a busy machine stalls) and MiB that one input may take; seeds
have at most 6 000 bytes."""


def main() -> int:
    """Returns 0 where nothing was found, 1 with the inputs that broke a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets")
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    arguments = parser.parse_args()
    share = max(1, arguments.seconds // len(arguments.targets))
    found: list[Path] = []
    for target in arguments.targets:
        done = _fuzz(target, share)
        broken = sorted((WORK / "found" / target).iterdir())
        print(f"{target}: {done} inputs, found {len(broken)}", flush=True)
        found += broken
    counts = {path.name: int(path.read_text()) for path in INPUTS.iterdir()}
    print(f"{sum(counts.values())} inputs in all runs so far")
    for path in found:
        print(f"broken promise: {path}", file=sys.stderr)
    return 1 if found else 0


def _fuzz(target: str, seconds: int) -> int:
    """Runs one target; returns how many inputs it was given."""
    corpus, found = WORK / "corpus" / target, WORK / "found" / target
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.one", target, str(found)]
    command += [
        str(corpus),
        str(HERE / "corpus" / target),
        f"-max_total_time={seconds}",
        *LIMITS,
    ]
    command += [f"-artifact_prefix={found}/", "-print_final_stats=1", "-verbosity=1"]
    log, counted = WORK / f"{target}.log", INPUTS / target
    with log.open("w") as stream:
        subprocess.run(command, stdout=stream, stderr=stream, check=False)
    # Where an input broke a promise, the count is in the last line that was written.
    told = re.findall(
        r"^(?:stat::number_of_executed_units: *|#)(\d+)", log.read_text(), re.M
    )
    if not told:
        raise SystemExit(f"{target} could not be fuzzed; see {log}")
    done = int(told[-1])
    INPUTS.mkdir(exist_ok=True)
    before = int(counted.read_text()) if counted.is_file() else 0
    counted.write_text(str(before + done))
    return done


if __name__ == "__main__":
    sys.exit(main())
