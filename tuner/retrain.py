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

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pipeline.answering import of_export, of_run
from pipeline.command import run_command
from pipeline.files import locked, write_json
from pipeline.found import ENDING, save_preset, settings_of
from pipeline.judged import judged
from pipeline.judging import RealScan, accepted_scans, refuse_other
from pipeline.manifest import Manifest
from pipeline.processes import must_run
from pipeline.runs import load_run
from tuner import winner as winners
from tuner.comparing import Network, against, figures, markdown
from tuner.sides import (
    RetrainConfig,
    Side,
    identity_of,
    run_of,
    shards_of,
    sides_of,
    stable_of,
)
from tuner.winner import Winner

RESULT: Final = "retrained.json"
PRESET: Final = "preset.json"

_log = logging.getLogger(__name__)


def retrain(config: RetrainConfig) -> None:
    """Trains what is missing, judges all, writes and prints the table.

    Raises:
        FileNotFoundError: The search has no winner, or its shards are gone.
        ValueError: The shards are others than the search's or lack the split, what is
            stored is of other settings, or a training failed.
        KeyboardInterrupt: It was told to stop; the training saved where it stood.
    """
    winner = Winner.load(config.folder / winners.FILE)
    manifest = shards_of(config, winner)
    sides = sides_of(config, winner)
    with locked(config.runs / "lock", f"retrains the winner of {config.folder}"):
        identity = identity_of(config, sides, manifest)
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
    run = run_of(config, side, seed)
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
    if (stable := stable_of(config)) is not None:
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
        folder = run_of(config, side, seed)
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
