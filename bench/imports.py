"""What importing the client costs, against the one of Triton."""

import dataclasses
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.remote import CHECKOUT, PeerError
from bench.results import Row, at_most, unmeasured

GOAL: Final = "≤ 1"

_PROGRAMS: Final = {
    "ours": "from mri_contrast import Client; Client('127.0.0.1:1').close()",
    "tritonclient": "from tritonclient.grpc import InferenceServerClient as Client; "
    "Client('127.0.0.1:1').close()",
}
"""To a client that is ready to ask: ours imports gRPC only then."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Of a process.

    Attributes:
        seconds: Of processor time.
        mebibytes: At the peak.
    """

    seconds: float
    mebibytes: float


def measure(python: Path, repeats: int) -> list[Row]:
    """Starts both in turns under the same interpreter and libraries.

    Args:
        python: Interpreter that has both clients' dependencies.
        repeats: Starts of each; the median of the ratios counts.
    """
    try:
        costs = _costs(python, repeats)
    except PeerError as failure:
        return [
            unmeasured("client.import", GOAL, str(failure)),
            unmeasured("client.memory", GOAL, str(failure)),
        ]
    terms = f"both in turns with the same grpcio and numpy, median of {repeats} starts"
    return [
        at_most(
            "client.import",
            _ratio(costs, "seconds"),
            1,
            f"processor time from the start to a client that can ask: ours "
            f"{_middle(costs['ours'], 'seconds'):.2f} s, tritonclient[grpc] "
            f"{_middle(costs['tritonclient'], 'seconds'):.2f} s; {terms}",
        ),
        at_most(
            "client.memory",
            _ratio(costs, "mebibytes"),
            1,
            f"peak resident memory of it: ours "
            f"{_middle(costs['ours'], 'mebibytes'):.0f} MiB, tritonclient[grpc] "
            f"{_middle(costs['tritonclient'], 'mebibytes'):.0f} MiB; {terms}",
        ),
    ]


def _costs(python: Path, repeats: int) -> dict[str, list[Cost]]:
    if not python.is_file():
        raise PeerError(f"{python} is missing: `make peers` builds it")
    costs: dict[str, list[Cost]] = {name: [] for name in _PROGRAMS}
    # The first start of each reads files and writes their compiled form.
    for number in range(repeats + 1):
        for name, program in _PROGRAMS.items():
            cost = _cost(python, name, program)
            if number:
                costs[name].append(cost)
    return costs


def _cost(python: Path, name: str, program: str) -> Cost:
    client = CHECKOUT / "serving" / "client"
    done = subprocess.run(
        [sys.executable, "-m", "bench.peak", python.absolute(), "-c", program],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{client}"},
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise PeerError(f"{name}: {lines[-1]}")
    kibibytes, seconds = done.stdout.split()
    return Cost(float(seconds), int(kibibytes) / 1024)


def _ratio(costs: dict[str, list[Cost]], what: str) -> float:
    pairs = zip(costs["ours"], costs["tritonclient"], strict=True)
    return statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)


def _middle(costs: list[Cost], what: str) -> float:
    return statistics.median(getattr(cost, what) for cost in costs)
