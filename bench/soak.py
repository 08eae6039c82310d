"""Loads a server for long while versions come and go: nothing may fail, nothing grow.

python -m bench.soak --minutes 30
"""

import dataclasses
import logging
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from bench.mixed_load import MixedLoad, Pinned
from bench.servers import free_port
from bench.serving import released
from mri_contrast import Client, MriContrastError
from pipeline.command import run_command
from pipeline.files import write_json
from serving.versions import CANARY, NAME, STABLE, Registry

_log = logging.getLogger(__name__)

_PATIENCE: Final = 600.0
"""Seconds for a start or a version to be loaded, on a busy machine."""

_POLL: Final = 0.1

_KEPT: Final = 3
"""Versions on disk: one more than there are labels."""

FAILED: Final = 3
"""Exit code where the verdict is not `passed`."""


@dataclasses.dataclass(frozen=True, slots=True)
class SoakConfig:
    """Loads a server while versions are published, promoted and pruned.

    Attributes:
        minutes: How long.
        every: Seconds from one new version to the next.
        callers: Threads that call, each through all kinds in turn.
        growth: By how much the server's memory may grow, from the second quarter of
            the time to the last, as a share.
        model: What is published again and again.
        out: Where calls, failures, memory and verdict go.
    """

    minutes: float = 30.0
    every: float = 20.0
    callers: int = 4
    growth: float = 0.1
    model: Path = dataclasses.field(default_factory=released)
    out: Path = Path("data/bench/soak.json")

    def __post_init__(self) -> None:
        for name in ("minutes", "callers", "growth"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.every < 0:
            raise ValueError(f"every must not be negative, got {self.every}")


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """Of the server at a time.

    Attributes:
        seconds: Since the load began.
        mebibytes: Resident.
        versions: Published so far.
    """

    seconds: float
    mebibytes: float
    versions: int


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What `soak.json` holds.

    Attributes:
        calls: By kind.
        failures: By kind and code.
        memory: After each new version.
        versions: How many were published.
        exit_code: The server's, after SIGTERM at the end.
        verdict: `passed`, or why not.
    """

    calls: Mapping[str, int]
    failures: Mapping[str, int]
    memory: Sequence[Memory]
    versions: int
    exit_code: int
    verdict: str


def work(config: SoakConfig) -> int:
    """Soaks, writes the outcome and says the verdict."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each call
    outcome = soak(config)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(config.out, dataclasses.asdict(outcome))
    _log.info(
        "%d calls, %d failed, %d versions, memory %.0f to %.0f MiB: %s",
        *(sum(outcome.calls.values()), sum(outcome.failures.values())),
        *(outcome.versions, outcome.memory[0].mebibytes, outcome.memory[-1].mebibytes),
        outcome.verdict,
    )
    return 0 if outcome.verdict == "passed" else FAILED


def soak(config: SoakConfig) -> Outcome:
    """Runs the server and the load.

    Raises:
        ValueError: The server does not start.
    """
    ports = free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        registry = Registry(Path(name))
        for label in (STABLE, CANARY):
            registry.promote(_publish(registry, config.model), label)
        options = [
            *("--model_config_file", str(registry.root / "models.config")),
            *("--model_config_file_poll_wait_seconds", "0.5"),
            "--allow_version_labels_for_unavailable_models",
            *("--port", str(ports[0]), "--rest_api_port", str(ports[1])),
        ]
        with subprocess.Popen(
            [sys.executable, "-m", "serving.server", *options],
            stderr=subprocess.DEVNULL,  # a line of log for each call
        ) as server:
            try:
                _await(ports[0], CANARY, server)
                return _load(config, registry, server, *ports)
            finally:
                server.kill()


def _load(
    config: SoakConfig,
    registry: Registry,
    server: subprocess.Popen[bytes],
    grpc_port: int,
    rest_port: int,
) -> Outcome:
    pinned = Pinned(registry.labels()[STABLE])
    load = MixedLoad(grpc_port, rest_port, pinned)
    process = psutil.Process(server.pid)
    memory: list[Memory] = []
    start = time.monotonic()
    load.start(config.callers)
    try:
        while True:
            begun = time.monotonic()
            _turn_over(registry, config.model, pinned, grpc_port, server)
            now = time.monotonic()
            resident = process.memory_info().rss / 2**20
            memory.append(Memory(now - start, resident, registry.versions()[-1]))
            if now - start >= 60 * config.minutes:
                break
            _log.info(
                "%.1f min: version %d, %d calls, %d failed, %.0f MiB",
                *((now - start) / 60, memory[-1].versions, sum(load.calls.values())),
                *(sum(load.failures.values()), resident),
            )
            time.sleep(max(0.0, config.every - (now - begun)))
    finally:
        load.stop()
    server.terminate()
    code = server.wait(_PATIENCE)
    return Outcome(
        dict(load.calls),
        dict(load.failures),
        memory,
        memory[-1].versions,
        code,
        verdict(load.calls, load.failures, memory, code, config.growth),
    )


def verdict(
    calls: Mapping[str, int],
    failures: Mapping[str, int],
    memory: Sequence[Memory],
    code: int,
    growth: float,
) -> str:
    """Returns `passed`, or what was not as it must be."""
    wrong = [f"{count} × {what}" for what, count in sorted(failures.items())]
    wrong += [f"{kind} was never asked" for kind, count in calls.items() if not count]
    if code:
        wrong.append(f"the server ended with code {code} after SIGTERM")
    quarter = len(memory) // 4
    if quarter:  # less says nothing about growth
        before = statistics.median(m.mebibytes for m in memory[quarter : 2 * quarter])
        after = statistics.median(m.mebibytes for m in memory[-quarter:])
        if after > (1 + growth) * before:
            wrong.append(f"memory grew from {before:.0f} to {after:.0f} MiB")
    return "; ".join(wrong) or "passed"


def _turn_over(
    registry: Registry,
    model: Path,
    pinned: Pinned,
    port: int,
    server: subprocess.Popen[bytes],
) -> None:
    """Publishes a version as canary, makes the canary before it stable, prunes."""
    labels = registry.labels()
    pinned.move(labels[CANARY])
    registry.promote(labels[CANARY], STABLE, "soak")
    registry.promote(_publish(registry, model), CANARY, "soak")
    _await(port, CANARY, server, version=registry.labels()[CANARY])
    for version in registry.versions()[:-_KEPT]:
        # Out of the server's sight at once, however long the deletion takes.
        gone = (registry.folder / str(version)).rename(
            registry.folder / f".gone-{version}"
        )
        shutil.rmtree(gone)


def _publish(registry: Registry, model: Path) -> int:
    with registry.workspace() as workspace:
        prepared = workspace / "model"
        shutil.copytree(model, prepared)
        return registry.publish(prepared, "soak")


def _await(
    port: int,
    label: str,
    server: subprocess.Popen[bytes],
    version: int | None = None,
) -> None:
    """Waits until a label can answer, by a certain version where one is named.

    Raises:
        ValueError: The server ended, or does not answer.
    """
    end = time.monotonic() + _PATIENCE
    last = "loading"
    with Client(f"127.0.0.1:{port}", model=NAME, label=label, timeout=60) as client:
        while time.monotonic() < end:
            if server.poll() is not None:
                raise ValueError(f"the server ended with code {server.returncode}")
            try:
                if version is None:
                    client.wait_until_ready(_POLL)
                    return
                states = {each.version: each.state for each in client.model_status()}
                if states.get(version) == "AVAILABLE":
                    return
            except MriContrastError as error:
                last = str(error)
            time.sleep(_POLL)
    raise ValueError(f"{label} did not answer in {_PATIENCE:.0f} s: {last}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        SoakConfig, work, prog="python -m bench.soak", arguments=arguments
    )


if __name__ == "__main__":
    sys.exit(main())
