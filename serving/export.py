"""Turns a run into a published version: a gated SavedModel in the registry."""

import dataclasses
from pathlib import Path
from typing import Any

from pipeline.runs import Run, load_run
from serving import warmup
from serving.card import write_card
from serving.commands import run_command
from serving.gate import check
from serving.registry import NAME, STABLE, Registry
from serving.signatures import archive, signatures


@dataclasses.dataclass(frozen=True, slots=True)
class ExportConfig:
    """What to publish, and where.

    Attributes:
        run: Folder of a finished run.
        root: The registry's root.
        name: The model's name.
    """

    run: Path
    root: Path = Path("models")
    name: str = NAME

    def __call__(self) -> None:
        """Publishes the run and says what to do next."""
        version = publish(self.run, self.root, self.name)
        stable = Registry(self.root, self.name).labels()[STABLE]
        print(f"published {self.name} version {version} in {self.root / self.name}")
        if stable == version:
            print(f"it is {STABLE}; next: make serve")
        else:
            print(f"version {stable} is served still")
            print(f"next: make promote VERSION={version}")


def publish(run: Path, root: Path, name: str = NAME) -> int:
    """Exports a run, checks the export and puts it into the registry.

    Args:
        run: Folder of a finished run.
        root: The registry's root.
        name: The model's name.

    Returns:
        The published version.

    Raises:
        FileNotFoundError: The folder is not a finished run.
        GateRefusedError: The export would answer wrongly; nothing was published.
    """
    registry = Registry(root, name)
    loaded = load_run(run)
    with registry.workspace() as workspace:
        model = workspace / "model"
        export(loaded, model, name)
        write_card(model, name, loaded, check(model, loaded))
        return registry.publish(model, reason=f"export of {run.name}")


def export(run: Run, model: Path, name: str = NAME) -> None:
    """Writes a run's SavedModel with its warm-up requests, unchecked.

    Args:
        run: The loaded run.
        model: Folder to make.
        name: The model's name, in the warm-up requests.
    """
    collected: Any = archive(run)
    collected.write_out(str(model), verbose=False)
    takes = {name: signature.takes.name for name, signature in signatures(run).items()}
    warmup.write(model, name, takes)


if __name__ == "__main__":
    run_command(ExportConfig, prog="python -m serving.export", describe=__doc__)
