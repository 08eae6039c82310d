"""Trains the winner of a search from scratch, and tells whether it is any better.

    python -m tuner.retrain --name NAME

    runs/tune/NAME/retrained/NAME-winner-0/   a run; one each seed, and as many of the
    runs/tune/NAME/retrained/default-0/       preset that it is compared with
    runs/tune/NAME/retrained.json             figures, intervals, paired tests, verdict
    runs/tune/NAME/preset.json                the winner as a preset, with its evidence

A trial's figure is that of one seed, the least of many, and Hyperband's are of few
epochs: what a search found counts only when it is trained again. Killed at any moment,
the same command goes on; what is finished is not trained again.
"""

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.answering import of_export, of_run
from pipeline.command import run_command
from pipeline.files import locked, sha256_of, write_json
from pipeline.found import ENDING, save_preset, settings_of
from pipeline.judging import RealScan, accepted_scans, identity_of, refuse_other
from pipeline.manifest import Manifest, load_manifest
from pipeline.presets import preset
from pipeline.processes import must_run
from pipeline.released import newest_version
from pipeline.runs import load_run
from pipeline.train import TrainConfig
from serving.registry import STABLE, Registry
from tuner import winner as winners
from tuner.comparing import Network, against, figures, markdown
from tuner.judged import judged
from tuner.winner import Winner

RESULT: Final = "retrained.json"
PRESET: Final = "preset.json"
RUNS: Final = "retrained"

_log = logging.getLogger(__name__)


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


def retrain(config: RetrainConfig) -> None:
    """Trains what is missing, judges all, writes and prints the table.

    Raises:
        FileNotFoundError: The search has no winner, or its shards are gone.
        ValueError: The shards are others than the search's or lack the split, what is
            stored is of other settings, or a training failed.
        KeyboardInterrupt: It was told to stop; the training saved where it stood.
    """
    winner = Winner.load(config.folder / winners.FILE)
    manifest = _shards(config, winner)
    sides = _sides(config, winner)
    with locked(config.runs / "lock", f"retrains the winner of {config.folder}"):
        identity = _identity(config, sides, manifest)
        for side in sides:
            _record(config, side, manifest)
        content = _stored(config)
        if content is None or content.get("identity") != identity:
            for seed in config.seeds:
                for side in sides:
                    _train(config, side, seed, winner.training.shards)
            content = _result(config, winner, sides, identity)
            write_json(config.folder / RESULT, content)
            _log.info("judged: %s", config.folder / RESULT)
        _save_preset(config, winner, content)
    print(markdown(content))
    _log.info(
        "next: make publish-winner NAME=%s, or make train PRESET=%s",
        *(config.name, config.folder / PRESET),
    )


def _run_of(config: RetrainConfig, side: Side, seed: int) -> Path:
    """Returns the folder of one training."""
    return config.runs / f"{side.name}-{seed}"


def _shards(config: RetrainConfig, winner: Winner) -> Manifest:
    """Checks the shards that are trained on and judged."""
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


def _sides(config: RetrainConfig, winner: Winner) -> tuple[Side, Side]:
    """The winner, and what it is compared with at the same budget."""
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


def _identity(
    config: RetrainConfig, sides: tuple[Side, Side], manifest: Manifest
) -> dict[str, Any]:
    """What the result depends on, as JSON has it."""
    stable = _stable(config)
    return {
        "settings": {side.name: settings_of(side.training) for side in sides},
        "seeds": list(config.seeds),
        "manifest_sha256": manifest.sha256,
        "split": config.split,
        "real": None if config.scans is None else identity_of(config.scans),
        "stable": None if stable is None else sha256_of(stable / "saved_model.pb"),
    }


def _stable(config: RetrainConfig) -> Path | None:
    """The model that is served: the registry's, or the released one."""
    registry = Registry(config.models)
    version = registry.labels().get(STABLE)
    return newest_version() if version is None else registry.folder / str(version)


def _record(config: RetrainConfig, side: Side, manifest: Manifest) -> None:
    """Notes what is trained under a name, or refuses to mix it with something else."""
    path = _settings_file(config, side)
    content = {
        "settings": settings_of(side.training),
        "manifest_sha256": manifest.sha256,
    }
    if path.is_file():
        remedy = (
            f"give the same options to go on, or delete {config.runs} to train again"
        )
        refuse_other(path, json.loads(path.read_text()), content, remedy)
    write_json(path, content)


def _settings_file(config: RetrainConfig, side: Side) -> Path:
    return config.runs / f"{side.name}{ENDING}"


def _stored(config: RetrainConfig) -> dict[str, Any] | None:
    path = config.folder / RESULT
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _train(config: RetrainConfig, side: Side, seed: int, found_on: Path) -> None:
    """Trains in another process; one that is finished says so and ends."""
    run = _run_of(config, side, seed)
    _log.info("training %s, seed %d", side.name, seed)
    must_run(
        "pipeline.train",
        *("--preset", _settings_file(config, side)),
        *("--shards", config.shards or found_on, "--run", run, "--seed", seed),
        quiet=True,  # the networks' summaries, which runs hold
    )


def _result(
    config: RetrainConfig,
    winner: Winner,
    sides: tuple[Side, Side],
    identity: dict[str, Any],
) -> dict[str, Any]:
    """Judges all networks: the content of `retrained.json`."""
    shards = config.shards or winner.training.shards
    scans = [] if config.scans is None else list(accepted_scans(config.scans))
    notes = list(_notes(config, scans))
    networks = [_trained(config, side, shards, scans) for side in sides]
    if (stable := _stable(config)) is not None:
        answerer = of_export(stable)
        learned = answerer.card.get("data_manifest_sha256")
        if learned != identity["manifest_sha256"]:
            notes.append(
                f"The stable model, {answerer.name}, was trained on other shards; "
                "where those hold subjects of this split, it looks better than it is"
            )
        said = judged(answerer, shards, config.split, scans)
        name = f"stable: {answerer.name}"
        networks.append(Network(name, {"data_manifest_sha256": learned}, [said]))
    trained = networks[0].about["runs"]
    return {
        "search": config.name,
        "trial": winner.trial,
        "objective": {"name": winner.objective, "value": winner.value},
        "split": config.split,
        "seeds": list(config.seeds),
        "epochs": winner.training.epochs,
        "networks": [figures(network) for network in networks],
        "comparisons": [against(networks[0], other) for other in networks[1:]],
        "notes": notes,
        # By validation, not by what is judged: else its figures would flatter it.
        "best": min(trained, key=lambda run: run["validation_loss"])["run"],
        "identity": identity,
    }


def _notes(config: RetrainConfig, scans: list[RealScan]) -> Iterator[str]:
    if not scans:
        yield "Real scans were not measured; MRI_REAL_DATA names some"
    if config.split == "validation":
        yield "The search chose by this split, so the winner looks better than it is"


def _trained(
    config: RetrainConfig, side: Side, shards: Path, scans: list[RealScan]
) -> Network:
    """Judges the runs of one side."""
    said, runs, parameters = [], [], 0
    for seed in config.seeds:
        folder = _run_of(config, side, seed)
        _log.info("judging %s", folder.name)
        run = load_run(folder)
        parameters = run.model.count_params()
        said.append(judged(of_run(run), shards, config.split, scans))
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        epochs = [json.loads(line) for line in lines]
        best = min(epochs, key=lambda epoch: epoch["validation_loss"])
        runs.append(
            {
                "run": str(folder),
                "seed": seed,
                "validation_loss": best["validation_loss"],
                "validation_accuracy": best["validation_accuracy"],
                "seconds": round(sum(epoch["seconds"] for epoch in epochs), 1),
            }
        )
    return Network(side.name, {"parameters": parameters, "runs": runs}, said)


def _save_preset(
    config: RetrainConfig, winner: Winner, content: dict[str, Any]
) -> None:
    """Writes the winner as a preset with all that speaks for it, or against."""
    told = {name: value for name, value in content.items() if name != "identity"}
    evidence = {**told, "manifest_sha256": content["identity"]["manifest_sha256"]}
    save_preset(config.folder / PRESET, winner.training, evidence)


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(RetrainConfig, retrain, prog="python -m tuner.retrain")


if __name__ == "__main__":
    sys.exit(main())
