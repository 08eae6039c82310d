"""The settings of a search, and which of them it can go on with."""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.files import sha256_of, write_json
from pipeline.manifest import Manifest
from pipeline.progress import progress
from pipeline.settings import TrainConfig
from tuner.budget import Budget
from tuner.space import SPACE, Space, narrow, space

ENDED: Final = "ended.json"
"""Tells workers that come late that nothing is left for them."""

_MAY_CHANGE: Final = (
    # More may be asked for, by more workers, and folders may be moved.
    *("trials", "minutes", "workers", "wait_minutes", "shards", "root"),
    "narrow",  # the space says what of it there is
)

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class SearchConfig:
    """Searches for hyper-parameters.

    Attributes:
        name: Of the search; one that exists goes on.
        shards: Folder of shards with their manifest.
        root: Folder of the searches.
        oracle: What proposes trials. Hyperband gives many networks a few epochs and
            the best of them more; Bayesian optimization, for few and costly trials,
            and random search give each all epochs.
        narrow: What hyper-parameters may be, where that is less than the whole space:
            `kernel=3`, `blocks=4,5`, `filters=32,64` of all blocks or `filters_0=32`
            of one, `learning_rate=0.001,0.003` between two limits.
        trials: Ends the search, those of earlier starts included; those over budget
            are not counted. Hyperband at 12 epochs ends by itself after 30.
        minutes: No trial begins after so many, those of earlier starts included.
        parameters: Networks with more are rejected before they are trained.
        milliseconds: Networks that take longer for a slice in use, 24 at a time, are.
        epochs: Of a trial, at most.
        factor: Hyperband trains the best one in this many further, for this many times
            the epochs.
        patience: Epochs without a better validation loss before a trial stops.
        batch_size: Slices a step.
        seed: Fixes the proposals, and weights, order and augmentation of each trial.
        workers: Processes that train on this machine, with one that gives them trials;
            0 is a single process. Where KerasTuner's variables are set it says nothing.
        wait_minutes: A worker that was not heard of for so long is gone, and its trial
            goes to another; a worker waits as long for the chief, which ends where it
            hears of no worker for as long.
    """

    name: str = "default"
    shards: Path = Path("data/shards/phantom")
    root: Path = Path("runs/tune")
    oracle: Literal["hyperband", "bayesian", "random"] = "hyperband"
    narrow: tuple[str, ...] = ()
    trials: int = 30
    minutes: float | None = None
    parameters: int | None = None
    milliseconds: float | None = None
    epochs: int = 12
    factor: int = 3
    patience: int = 10
    batch_size: int = 32
    seed: int = 0
    workers: int = 0
    wait_minutes: float = 10.0

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(
                f"a search's name is one plain folder name, got {self.name!r}"
            )
        for name, least in (("trials", 1), ("factor", 2), ("seed", 0), ("workers", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be at least {least}, got {getattr(self, name)}"
                )
        for name in ("minutes", "wait_minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        # What these check is a search's business, too.
        _ = (self.budget, self.space, self.training())

    @property
    def folder(self) -> Path:
        """Where everything of this search lies."""
        return self.root / self.name

    @property
    def budget(self) -> Budget:
        """The most that a network may cost."""
        return Budget(self.parameters, self.milliseconds)

    @property
    def space(self) -> Space:
        """What is searched."""
        return narrow(self.narrow) if self.narrow else SPACE

    def training(self) -> TrainConfig:
        """Returns the training of the winner, before its hyper-parameters are set."""
        return TrainConfig(
            shards=self.shards,
            run=Path("runs/train") / f"{self.name}-winner",
            epochs=self.epochs,
            patience=self.patience,
            batch_size=self.batch_size,
            seed=self.seed,
        )


def check_same(config: SearchConfig, manifest: Manifest) -> None:
    """Refuses a folder that holds another search.

    Raises:
        ValueError: They differ, in the space for example; nothing is changed.
    """
    path = config.folder / "config.json"
    content = _content(config, manifest)
    before = json.loads(path.read_text()) if path.is_file() else content
    for name in sorted(content.keys() - set(_MAY_CHANGE)):
        if before.get(name) != content[name]:
            raise ValueError(
                f"{config.folder} holds a search with another {name}; go on with what "
                "its config.json says, or search under another --name"
            )


def begin(config: SearchConfig, manifest: Manifest) -> None:
    """Records what is searched."""
    write_json(config.folder / "config.json", _content(config, manifest))
    _log.info(
        "search %s: %s, at most %d trials, seed %d, shards %s",
        *(config.name, config.oracle, config.trials, config.seed),
        manifest.sha256[:12],
    )


def _content(config: SearchConfig, manifest: Manifest) -> dict[str, Any]:
    content = {
        **dataclasses.asdict(config),
        "manifest_sha256": manifest.sha256,
        "space": space(config.space).get_config()["space"],
    }
    plain: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return plain


def check_shards(folder: Path, manifest: Manifest) -> None:
    """Reads all that trials would, once, instead of failing in each of them.

    Raises:
        OSError: A shard cannot be read.
        ValueError: A shard is damaged.
    """
    shards = [*manifest.of_split("train"), *manifest.of_split("validation")]
    with progress("checking shards", len(shards), "shards") as advance:
        for shard in shards:
            if sha256_of(folder / shard.file) != shard.sha256:
                raise ValueError(
                    f"{folder / shard.file} is damaged: its digest is not the "
                    "manifest's; run `make shards` again, it redoes only what is "
                    "damaged"
                )
            advance()


def note_end(config: SearchConfig) -> None:
    """Notes that a search of these budgets has come to its end."""
    write_json(config.folder / ENDED, _asked(config))


def has_ended(config: SearchConfig) -> bool:
    """Whether a search of these budgets has come to its end."""
    path = config.folder / ENDED
    return path.is_file() and json.loads(path.read_text()) == _asked(config)


def _asked(config: SearchConfig) -> dict[str, Any]:
    return {"trials": config.trials, "minutes": config.minutes}
