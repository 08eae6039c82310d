"""Who is compared with the winner of a search, on what, and what makes them the same.

The winner and a preset are trained, at one budget; the stable model is judged as it is.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.found import ENDING, settings_of
from pipeline.judging import identity_of as identity_of_scans
from pipeline.manifest import Manifest, load_manifest
from pipeline.presets import preset
from pipeline.released import newest_version
from pipeline.train import TrainConfig
from serving.image import digest_of
from serving.registry import STABLE, Registry
from tuner.winner import Winner

RUNS: Final = "retrained"
"""Folder, within that of the search, of what is trained here."""


@dataclasses.dataclass(frozen=True, slots=True)
class RetrainConfig:
    """Trains the winner of a search from scratch and compares it.

    Attributes:
        name: Of the search.
        root: Folder of the searches.
        shards: Those of the search where not given; others if they are named.
        against: Preset that the winner is compared with, a name or a file; it gets the
            winner's epochs and patience, and as many slices.
        seeds: A training each, of the winner and of that preset.
        split: Which is judged. On `validation` networks look better than they are: the
            search chose by it.
        real: Labelled real scans, which are only measured; the environment's
            MRI_REAL_DATA if not given.
        models: Registry whose stable model is judged as well; where nothing is
            published, the released one.
    """

    name: str = "default"
    root: Path = Path("runs/tune")
    shards: Path | None = None
    against: str = "default"
    seeds: tuple[int, ...] = (0, 1, 2)
    split: Literal["test", "validation"] = "test"
    real: Path | None = None
    models: Path = Path("models")

    def __post_init__(self) -> None:
        if (
            not self.seeds
            or min(self.seeds) < 0
            or len(set(self.seeds)) < len(self.seeds)
        ):
            raise ValueError(
                f"seeds must be one number or more from 0 on, each once; got "
                f"{self.seeds}"
            )

    @property
    def folder(self) -> Path:
        """Of the search."""
        return self.root / self.name

    @property
    def runs(self) -> Path:
        """Where what is trained here lies."""
        return self.folder / RUNS

    @property
    def scans(self) -> Path | None:
        """Real scans; None where there are none."""
        named = self.real or os.environ.get("MRI_REAL_DATA")
        return Path(named) if named else None


@dataclasses.dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are trained, once each seed.

    Attributes:
        name: Begins the names of its runs.
        training: Its settings.
    """

    name: str
    training: TrainConfig


def run_of(config: RetrainConfig, side: Side, seed: int) -> Path:
    """Returns the folder of one training."""
    return config.runs / f"{side.name}-{seed}"


def shards_of(config: RetrainConfig, winner: Winner) -> Manifest:
    """Checks the shards that are trained on and judged.

    Raises:
        FileNotFoundError: There are none.
        ValueError: They are others than the search's, or lack a split.
    """
    folder = config.shards or winner.training.shards
    manifest = load_manifest(folder)
    if config.shards is None and manifest.sha256 != winner.manifest_sha256:
        raise ValueError(
            f"{folder} holds others than the shards that search {config.name} was made "
            f"on ({manifest.sha256[:12]}, not {winner.manifest_sha256[:12]}); bring "
            "those back, or name these with --shards"
        )
    for split in ("train", "validation", config.split):
        manifest.of_split(split)
    return manifest


def sides_of(config: RetrainConfig, winner: Winner) -> tuple[Side, Side]:
    """Returns the winner, and what it is compared with at the same budget.

    Raises:
        ValueError: There is no such preset, or it has the winner's name.
    """
    budget, other = winner.training, preset(config.against)
    steps = budget.steps_per_epoch
    if steps is not None:  # so many slices, whatever the batch
        steps = max(1, round(steps * budget.batch_size / other.batch_size))
    name = config.against
    name = Path(name).stem if name.endswith(ENDING) else name
    mine = f"{config.name}-winner"
    if name == mine:
        raise ValueError(f"preset {config.against} is called as the winner; rename it")
    same = dataclasses.replace(
        other,
        epochs=budget.epochs,
        patience=budget.patience,
        steps_per_epoch=steps,
        validation_steps=None,
    )
    return Side(mine, budget), Side(name, same)


def identity_of(
    config: RetrainConfig, sides: tuple[Side, Side], manifest: Manifest
) -> dict[str, Any]:
    """Returns what the result depends on, as JSON has it."""
    stable = stable_of(config)
    return {
        "settings": {side.name: settings_of(side.training) for side in sides},
        "seeds": list(config.seeds),
        "manifest_sha256": manifest.sha256,
        "split": config.split,
        "real": None if config.scans is None else identity_of_scans(config.scans),
        # Of all files: the graphs of two trainings of a network may be the same.
        "stable": None if stable is None else digest_of(stable),
    }


def stable_of(config: RetrainConfig) -> Path | None:
    """Returns the model that is served: the registry's, or the released one."""
    registry = Registry(config.models)
    version = registry.labels().get(STABLE)
    return newest_version() if version is None else registry.folder / str(version)
