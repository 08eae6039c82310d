"""Takes the winner of a search to a published version and a container image.

    python -m tuner.publish --name NAME

Trains it from scratch and compares it, where `tuner.retrain` has not yet; measures the
best of its trainings for the model card; publishes that one, through the same gate as
any run; builds the image of the version. Each step that is done is not done again.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from pipeline.command import DONE, WRONG_USE, run_command
from pipeline.files import sha256_of
from pipeline.found import settings_of
from pipeline.processes import must_run
from serving.export import GATE_REFUSED, announce, publish
from serving.gate import DEFAULT, GateRefusedError, Rules
from serving.image import ImageConfig, build_image
from serving.registry import Registry
from tuner.comparing import NOISE
from tuner.retrain import RESULT
from tuner.sides import RUNS
from tuner.winner import FILE, Winner


@dataclasses.dataclass(frozen=True, slots=True)
class PublishConfig:
    """Publishes the winner of a search and builds its image.

    Attributes:
        name: Of the search.
        root: Folder of the searches.
        models: The registry's root.
        image: Build the container image, too; `--no-image` publishes alone.
        rules: What the gate measures on and lets through.
    """

    name: str = "default"
    root: Path = Path("runs/tune")
    models: Path = Path("models")
    image: bool = True
    rules: Annotated[Rules, tyro.conf.arg(name="")] = DEFAULT

    @property
    def folder(self) -> Path:
        """Of the search."""
        return self.root / self.name


def publish_winner(config: PublishConfig) -> int:
    """Does what is left to do; returns the exit code.

    Returns:
        0; 3 where the winner is worse than what it was compared with, or the gate
        refused it; 2 where the version is published but no image could be built.

    Raises:
        FileNotFoundError: The search has no winner.
        ValueError: A training failed, or another winner was found since.
    """
    result = _retrained(config)
    default = result["comparisons"][0]
    if default["verdict"] == "worse":
        print(
            f"refused, nothing was published: the winner is worse than "
            f"{default['name']} {NOISE}; make publish RUN={result['best']} publishes "
            "it all the same",
            file=sys.stderr,
        )
        return GATE_REFUSED
    run = Path(result["best"])
    try:
        version = _version(config, run, result["split"])
    except GateRefusedError as error:
        print(f"refused, nothing was published: {error}", file=sys.stderr)
        return GATE_REFUSED
    announce(run, Registry(config.models), version)
    if not config.image:
        return DONE
    try:
        build_image(ImageConfig(version=version, root=config.models))
    except (OSError, ValueError) as error:
        print(
            f"error: version {version} is published, but has no image yet: {error}",
            file=sys.stderr,
        )
        return WRONG_USE
    return DONE


def _retrained(config: PublishConfig) -> dict[str, Any]:
    """What `tuner.retrain` found of this very winner; lets it work where it has not."""
    winner = Winner.load(config.folder / FILE)
    path = config.folder / RESULT
    if not path.is_file():
        must_run(
            "tuner.retrain",
            *("--name", config.name, "--root", config.root, "--models", config.models),
        )
    result: dict[str, Any] = json.loads(path.read_text())
    settings = result["identity"]["settings"].get(f"{config.name}-winner")
    if settings != settings_of(winner.training):
        raise ValueError(
            f"search {config.name} has found another winner since {path} was written; "
            f"delete {config.folder / RUNS} and it, and start this again"
        )
    return result


def _version(config: PublishConfig, run: Path, split: str) -> int:
    """Publishes a run, unless it is published; returns its version."""
    registry, network = Registry(config.models), sha256_of(run / "model.keras")
    for entry in registry.history():
        published = entry["action"] == "publish" and entry.get("network") == network
        if published and entry["version"] in registry.versions():
            return int(entry["version"])
    if not (run / "evaluation.json").is_file():
        must_run("pipeline.evaluate", "--run", run, "--split", split)
    return publish(run, config.models, rules=config.rules)


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(PublishConfig, publish_winner, prog="python -m tuner.publish")


if __name__ == "__main__":
    sys.exit(main())
