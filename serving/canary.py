"""Asks `canary` beside `stable` about scans, and says whether to promote it.

    python -m serving.canary            # simulated scans, a server of its own
    python -m serving.canary uploads/*.nii.gz --server localhost:8500

The label `canary` must name a version: `python -m serving.registry promote --label
canary --version 3`. Exit code 0: promote it; 3: do not.
"""

import contextlib
import dataclasses
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import tyro
from rich.console import Console
from rich.table import Table

from mri_contrast import Client, MriContrastError, UnreadableScan
from mri_contrast.scans import find_parts
from pipeline.command import DONE, run_command
from pipeline.phantom import PhantomConfig, phantom_scans
from pipeline.progress import progress
from serving.shadow import (
    Comparison,
    Read,
    Traffic,
    against_promotion,
    compare,
    send,
)
from serving.versions import CANARY, NAME, STABLE, Registry, RegistryError

DO_NOT: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class CanaryConfig:
    """Compares the canary version with the stable one on traffic.

    Attributes:
        scans: Files, folders or zips of scans; simulated ones where none is named.
        server: HOST:PORT of a server that has both labels; one that serves the
            registry is started for the time being where none is named.
        root: The registry's root.
        share: Of the scans that canary is asked about as well, in (0, 1].
        subjects: Heads to simulate, 13 scans each.
        seed: Of the simulated heads, and of which scans go to canary.
        agreement: Share of verdicts that must agree; the lower end of its exact
            interval counts, so that 36 scans are needed where all agree.
        max_ratio: The longest time of an answer, in times that of stable.
        timeout: Seconds that each call may take.
    """

    scans: tyro.conf.Positional[tuple[Path, ...]] = ()
    server: str | None = None
    root: Path = Path("models")
    share: float = 0.5
    subjects: int = 8
    seed: int = 1007
    agreement: float = 0.9
    max_ratio: float = 2.0
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")
        if not 0 <= self.agreement <= 1:
            raise ValueError(f"agreement must be in [0, 1], got {self.agreement}")
        if not self.max_ratio > 0:
            raise ValueError(f"max_ratio must be above 0, got {self.max_ratio}")


def canary(config: CanaryConfig) -> int:
    """Asks, compares, says what to do, returns the exit code.

    Raises:
        RegistryError: No version is `canary`, or none `stable`.
        OSError: The server failed for stable.
    """
    reads = list(_reads(config))
    try:
        with _served(config) as target, _clients(config, target) as (stable, other):
            traffic = _send(config, reads, stable, other)
    except UnreadableScan:
        raise
    except MriContrastError as error:
        raise OSError(str(error)) from error
    found = compare(traffic.pairs)
    _tell(config, traffic, found)
    reasons = against_promotion(found, config.agreement, config.max_ratio)
    if reasons:
        for reason in reasons:
            print(f"do not promote: {reason}", file=sys.stderr)
        return DO_NOT
    version = found.versions[1][-1]
    print(f"promote it: make promote VERSION={version}")
    return DONE


def _reads(config: CanaryConfig) -> Iterator[Read]:
    if not config.scans:
        for scan in phantom_scans(PhantomConfig(config.subjects, config.seed)):
            yield scan.read
    for path in config.scans:
        try:
            yield from (part.read for part in find_parts(path))
        except UnreadableScan as error:
            raise UnreadableScan(f"{path}: {error}") from error


@contextlib.contextmanager
def _served(config: CanaryConfig) -> Iterator[str]:
    """Yields where to ask."""
    if config.server is not None:
        yield config.server
        return
    labels = Registry(config.root).labels()
    for label in (STABLE, CANARY):
        if label not in labels:
            raise RegistryError(
                f"no version of {config.root} is {label}; name one: python -m "
                f"serving.registry promote --label {label} --version VERSION"
            )
    from serving.server.config import ServerConfig
    from serving.server.embedded import EmbeddedServer

    served = ServerConfig(
        port=0, rest_api_port=None, model_config_file=config.root / "models.config"
    )
    with EmbeddedServer(served) as (port, _):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def _clients(config: CanaryConfig, target: str) -> Iterator[tuple[Client, Client]]:
    """Yields clients of both labels once both answer."""
    with contextlib.ExitStack() as held:
        both = [
            held.enter_context(
                Client(target, model=NAME, label=label, timeout=config.timeout)
            )
            for label in (STABLE, CANARY)
        ]
        for client in both:
            client.wait_until_ready()
        yield both[0], both[1]


def _send(
    config: CanaryConfig, reads: Sequence[Read], stable: Client, other: Client
) -> Traffic:
    count = max(1, round(config.share * len(reads)))
    chosen = set(random.Random(config.seed).sample(range(len(reads)), count))
    scans = ((read, number in chosen) for number, read in enumerate(reads))
    with progress("scans", len(reads), "scans") as advance:
        return send(scans, stable, other, advance)


def _tell(config: CanaryConfig, traffic: Traffic, found: Comparison) -> None:
    console = Console(highlight=False)
    of_stable, of_canary = (", ".join(map(str, some)) for some in found.versions)
    console.print(
        f"{traffic.asked} scans to {STABLE} (version {of_stable or '?'}), "
        f"{len(traffic.pairs)} of them to {CANARY} as well (version "
        f"{of_canary or '?'}), {config.share:.0%} wanted; {traffic.unreadable} "
        "unreadable"
    )
    if found.interval is None or found.ratio is None:
        return
    console.print(_confusion(found))
    low, high = found.interval
    console.print(
        f"verdicts that agree: {found.agreed} of {found.answered}, exact 95 % interval "
        f"{low:.1%} to {high:.1%}"
    )
    console.print(
        f"time of an answer beside {STABLE}'s: {found.ratio.median:.2f} times, 95 % "
        f"interval {found.ratio.low:.2f} to {found.ratio.high:.2f}, "
        f"{found.ratio.pairs} pairs"
    )


def _confusion(found: Comparison) -> Table:
    names = sorted({name for pair in found.confusion for name in pair})
    table = Table(title=f"verdicts: {STABLE} down, {CANARY} across")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for one in names:
        cells = (str(found.confusion[one, other]) for other in names)
        table.add_row(one, *cells)
    return table


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(CanaryConfig, canary, prog="python -m serving.canary")


if __name__ == "__main__":
    sys.exit(main())
