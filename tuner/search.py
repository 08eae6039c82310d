"""Searches for hyper-parameters and names the winner.

    python -m tuner.search --name NAME --shards data/shards/phantom

    runs/tune/NAME/config.json      what is searched, and on which data
    runs/tune/NAME/trial-0000/      the run of a trial, as `pipeline.train` leaves it
    runs/tune/NAME/oracle/          KerasTuner's state
    runs/tune/NAME/winner.json      the best trial so far, and how to train it again

A search that is started again under its name goes on: of an interrupted one, only the
trial that was running is trained again.
"""

import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import Any, Final, Literal

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.engine import base_tuner

from pipeline.command import INTERRUPTED, run_command
from pipeline.files import write_json
from pipeline.manifest import Manifest, load_manifest
from pipeline.share import steps_per_epoch
from pipeline.train import TrainConfig, train
from tuner.space import configure, space
from tuner.winner import Winner

OBJECTIVE: Final = "validation_loss"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class SearchConfig:
    """Searches for hyper-parameters.

    Attributes:
        name: Of the search; one that exists goes on.
        shards: Folder of shards with their manifest.
        root: Folder of the searches.
        oracle: What proposes trials. Hyperband gives many networks a few epochs and
            the best of them more; random search gives each all epochs.
        trials: Ends the search, those of earlier starts included. Hyperband at 12
            epochs ends by itself after 30.
        epochs: Of a trial, at most.
        factor: Hyperband trains the best one in this many further, for this many times
            the epochs.
        patience: Epochs without a better validation loss before a trial stops.
        batch_size: Slices a step.
        seed: Fixes the proposals, and weights, order and augmentation of each trial.
    """

    name: str = "default"
    shards: Path = Path("data/shards/phantom")
    root: Path = Path("runs/tune")
    oracle: Literal["hyperband", "random"] = "hyperband"
    trials: int = 30
    epochs: int = 12
    factor: int = 3
    patience: int = 10
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(
                f"a search's name is one plain folder name, got {self.name!r}"
            )
        for name, least in (("trials", 1), ("factor", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be at least {least}, got {getattr(self, name)}"
                )
        self.training()  # checks what it shares with a training

    @property
    def folder(self) -> Path:
        """Where everything of this search lies."""
        return self.root / self.name

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


def search(config: SearchConfig) -> int:
    """Runs trials until the search ends, and leaves `winner.json`.

    Returns:
        0, or 130 where it was interrupted; the winner so far is kept in both cases.

    Raises:
        FileNotFoundError: There are no finished shards.
        ValueError: The shards cannot be learnt from, the folder holds another search,
            or trial after trial failed.
    """
    manifest = load_manifest(config.shards)
    manifest.of_split("validation")
    steps_per_epoch(manifest, config.batch_size)
    _begin(config, manifest)
    # It warns of graphs that are traced again and again: each trial has its own.
    tf.get_logger().setLevel(logging.ERROR)
    tuner = _Tuner(config, manifest)
    try:
        tuner.search()
    except KeyboardInterrupt:
        _log.warning("interrupted: start search %s again to go on", config.name)
        return INTERRUPTED
    except RuntimeError as error:  # KerasTuner's end after three failures in a row
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"three trials in a row failed, the last with: {reason}; mend that and "
            f"start search {config.name} again"
        ) from error
    tuner.record_winner()
    _log.info(
        "done: %s; next: the command in it trains the winner from scratch",
        config.folder / "winner.json",
    )
    return 0


def _begin(config: SearchConfig, manifest: Manifest) -> None:
    """Records what is searched, or checks that an earlier start searched the same."""
    content = {
        **dataclasses.asdict(config),
        "manifest_sha256": manifest.sha256,
        "space": space().get_config()["space"],
    }
    content = json.loads(json.dumps(content, default=str))
    path = config.folder / "config.json"
    before = json.loads(path.read_text()) if path.is_file() else content
    # More trials may be asked for, and folders may be moved: the digest ties the data.
    for name in sorted(content.keys() - {"trials", "shards", "root"}):
        if before.get(name) != content[name]:
            raise ValueError(
                f"{config.folder} holds a search with another {name}; go on with what "
                "its config.json says, or search under another --name"
            )
    write_json(path, content)
    _log.info(
        "search %s: %s, at most %d trials, seed %d, shards %s",
        *(config.name, config.oracle, config.trials, config.seed),
        manifest.sha256[:12],
    )


def _oracle(config: SearchConfig) -> keras_tuner.Oracle:
    """Returns what proposes the trials."""
    shared = {
        "objective": keras_tuner.Objective(OBJECTIVE, "min"),
        "hyperparameters": space(),
        "allow_new_entries": False,
        "seed": config.seed + 1,  # KerasTuner takes 0 for none and draws one
    }
    if config.oracle == "random":
        return keras_tuner.oracles.RandomSearchOracle(
            max_trials=config.trials, **shared
        )
    oracle = keras_tuner.oracles.HyperbandOracle(
        max_epochs=config.epochs, factor=config.factor, **shared
    )
    oracle.max_trials = config.trials  # every oracle heeds it, this one takes none
    return oracle


class _Tuner(base_tuner.BaseTuner):  # type: ignore[misc]  # KerasTuner has no types
    """Trains each trial with `pipeline.train`, and keeps `winner.json` up to date."""

    def __init__(self, config: SearchConfig, manifest: Manifest) -> None:
        self._config, self._manifest = config, manifest
        super().__init__(
            _oracle(config), directory=str(config.folder), project_name="oracle"
        )
        self.oracle.verbose = 0  # its tables; trials are reported by our log

    def on_search_begin(self) -> None:
        """Makes a search known before its first trial, so that it too is repeated."""
        self.save()

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Trains a trial from its first step.

        Hyperband's promoted trials too: going on would start from the end of a cosine
        schedule and without the optimizer's state, which KerasTuner does not restore.
        """
        epochs = trial.hyperparameters.values.get("tuner/epochs", self._config.epochs)
        chosen = configure(trial.hyperparameters, self._config.training())
        chosen = dataclasses.replace(chosen, run=self._run_of(trial), epochs=epochs)
        network = chosen.hyper
        _log.info(
            "%s: %d epochs, filters %s, kernel %d, dense %s, dropout %g, "
            "learning rate %.2g, weight decay %.2g",
            *(chosen.run.name, epochs, network.filters, network.kernel, network.dense),
            *(network.dropout, chosen.learning_rate, chosen.weight_decay),
        )
        keras.utils.clear_session()
        if train(chosen) == INTERRUPTED:
            raise KeyboardInterrupt
        lines = (chosen.run / "metrics.jsonl").read_text().splitlines()
        return {OBJECTIVE: min(json.loads(line)[OBJECTIVE] for line in lines)}

    def on_trial_end(self, trial: Any) -> None:
        """Reports a trial, and the winner so far."""
        super().on_trial_end(trial)
        trial = self.oracle.get_trial(trial.trial_id)
        if trial.status == "COMPLETED":
            self.record_winner()
            return
        reason = (trial.message or f"its {OBJECTIVE} is not a number").strip()
        _log.warning("%s failed: %s", self._run_of(trial).name, reason.splitlines()[-1])

    def record_winner(self) -> None:
        """Writes `winner.json`.

        Raises:
            ValueError: No trial has come to its end.
        """
        best = self.oracle.get_best_trials(1)
        if not best or best[0].status != "COMPLETED":
            raise ValueError(
                f"no trial of {self._config.folder} came to its end; its log says why"
            )
        trial = best[0]
        winner = Winner(
            trial=self._run_of(trial).name,
            objective=OBJECTIVE,
            value=trial.score,
            training=configure(trial.hyperparameters, self._config.training()),
            manifest_sha256=self._manifest.sha256,
        )
        winner.save(self._config.folder / "winner.json")
        _log.info("best so far: %s, %s %.4f", winner.trial, OBJECTIVE, winner.value)

    def _run_of(self, trial: Any) -> Path:
        return self._config.folder / f"trial-{int(trial.trial_id):04d}"


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(SearchConfig, search, prog="python -m tuner.search")


if __name__ == "__main__":
    sys.exit(main())
