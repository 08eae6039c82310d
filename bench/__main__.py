"""Measures what can be measured here, prints a table and writes `results.json`.

python -m bench
python -m bench --only input memory
"""

import dataclasses
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench import (
    batching,
    imports,
    inputs,
    memory,
    ours,
    programs,
    results,
    rivals,
    servers,
    serving,
    training,
    volumes,
)
from bench.material import prepare
from bench.people import prepare_people
from bench.results import Row
from bench.timing import Effort
from pipeline.command import run_command

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class BenchConfig:
    """Compares speed and memory with peers, the study's program and limits.

    Attributes:
        out: Where the figures go.
        material: Folder for the slices that are measured on; kept between runs.
        only: Groups to measure: `input`, `train`, `programs`, `memory`, `batching`,
            `server`, `client`, `volume`; all where none is named. Rows of other groups
            stay in the file as they are.
        slices: Number of slices; 4096 are 92 MB, more than the input's shuffle buffer.
        subjects: Simulated heads that the slices are cut from.
        people: Simulated heads for the two programs, a quarter of them for the test.
        epochs: Passes of each program over its training slices.
        seconds: Time counted for each contestant in each round.
        repeats: Rounds; the median counts.
        sizes: How many times the slices memory is measured on; the last against the
            first.
        peers: Interpreter that has the other loaders; `make peers` builds it.
        servers: Interpreter that has the other servers; `make peers` builds it, too.
        model: The version of the model that is served.
    """

    out: Path = results.RESULTS
    material: Path = Path("data/bench")
    only: tuple[str, ...] = ()
    slices: int = 4096
    subjects: int = 6
    people: int = 40
    epochs: int = 4
    seconds: float = 2.0
    repeats: int = 5
    sizes: tuple[int, ...] = (1, 10, 100)
    peers: Path = rivals.PYTHON
    servers: Path = servers.PYTHON
    model: Path = dataclasses.field(default_factory=serving.released)

    def __post_init__(self) -> None:
        least = max(inputs.BATCH, ours.BATCH)
        if self.slices < least:
            raise ValueError(f"slices must fill a batch of {least}, got {self.slices}")
        for name in ("subjects", "epochs", "seconds", "repeats"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.people < 4:
            raise ValueError(
                f"people must be at least 4, one for the test, got {self.people}"
            )
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"sizes must be 1 or more each, got {self.sizes}")
        unknown = sorted(set(self.only) - set(GROUPS))
        if unknown:
            raise ValueError(
                f"only must name groups among {', '.join(GROUPS)}, got "
                f"{', '.join(unknown)}"
            )


def _input(config: BenchConfig) -> list[Row]:
    material = prepare(config.material, slices=config.slices, subjects=config.subjects)
    return inputs.measure(
        material, Effort(config.seconds, config.repeats), config.peers
    )


def _train(config: BenchConfig) -> list[Row]:
    material = prepare(config.material, slices=config.slices, subjects=config.subjects)
    # Twice as many rounds: the goal is a difference of 3 %.
    effort = Effort(config.seconds, 2 * config.repeats)
    return training.measure(material.shards, effort)


def _programs(config: BenchConfig) -> list[Row]:
    people = prepare_people(config.material, subjects=config.people)
    effort = Effort(config.seconds, config.repeats)
    return programs.measure(people, effort, epochs=config.epochs)


def _memory(config: BenchConfig) -> list[Row]:
    material = prepare(config.material, slices=config.slices, subjects=config.subjects)
    return [
        memory.measure(material.shards, config.material / "memory", config.sizes),
    ]


def _batching(config: BenchConfig) -> list[Row]:
    return batching.measure(Effort(config.seconds, config.repeats))


def _server(config: BenchConfig) -> list[Row]:
    effort = Effort(config.seconds, config.repeats)
    return serving.measure(config.model, effort, config.servers)


def _client(config: BenchConfig) -> list[Row]:
    return imports.measure(config.servers, config.repeats)


def _volume(config: BenchConfig) -> list[Row]:
    effort = Effort(config.seconds, config.repeats)
    return [volumes.measure(config.model, config.material, effort)]


GROUPS: Final[dict[str, Callable[[BenchConfig], list[Row]]]] = {
    "input": _input,
    "train": _train,
    "programs": _programs,
    "memory": _memory,
    "batching": _batching,
    "server": _server,
    "client": _client,
    "volume": _volume,
}


def work(config: BenchConfig) -> None:
    """Measures group by group, each saved when it is done, and shows all rows."""
    rows: list[Row] = []
    for name, measure in GROUPS.items():
        if not config.only or name in config.only:
            _log.info("measuring: %s", name)
            found = measure(config)
            results.save(found, config.out)
            rows += found
    results.show(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(BenchConfig, work, prog="python -m bench", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
