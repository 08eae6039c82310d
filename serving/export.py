"""Turns a run into a published version: a gated SavedModel in the registry."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import tyro

from pipeline.command import DONE, run_command
from pipeline.files import sha256_of
from pipeline.runs import Run, load_run, newest_run
from serving import warmup
from serving.canonical import canonicalise
from serving.card import write_card
from serving.gate import DEFAULT, GateRefusedError, Rules, decide
from serving.integrity import seal
from serving.registry import NAME, STABLE, Registry
from serving.signatures import archive, signatures

GATE_REFUSED: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class ExportConfig:
    """What to publish, and where.

    Attributes:
        run: Folder of a finished run; the newest in runs/train where none is named.
        root: The registry's root.
        name: The model's name.
        rules: What the gate measures on and lets through.
    """

    run: Path | None = None
    root: Path = Path("models")
    name: str = NAME
    rules: Annotated[Rules, tyro.conf.arg(name="")] = DEFAULT


def main(config: ExportConfig) -> int:
    """Publishes a run, says what to do next, returns the exit code."""
    run = config.run or newest_run()
    try:
        version = publish(run, config.root, config.name, config.rules)
    except GateRefusedError as error:
        print(f"refused, nothing was published: {error}", file=sys.stderr)
        return GATE_REFUSED
    announce(run, Registry(config.root, config.name), version)
    return DONE


def announce(run: Path, registry: Registry, version: int) -> None:
    """Says what was published, what is served, and what to do next."""
    stable = registry.labels()[STABLE]
    print(f"published {run} as {registry.folder / str(version)}")
    if stable == version:
        print(f"version {version} is {STABLE}; next: make serve")
    else:
        print(
            f"{STABLE} is version {stable} still; next: make promote VERSION={version}"
        )


def publish(run: Path, root: Path, name: str = NAME, rules: Rules = DEFAULT) -> int:
    """Exports a run, checks the export and puts it into the registry.

    What the gate decided goes to the model card and the history, a refusal to the
    history.

    Args:
        run: Folder of a finished run.
        root: The registry's root.
        name: The model's name.
        rules: What the gate measures on and lets through.

    Returns:
        The published version.

    Raises:
        FileNotFoundError: The folder is not a finished run.
        GateRefusedError: The export would answer wrongly, or is worse than what is
            served; nothing was published.
    """
    registry = Registry(root, name)
    loaded = load_run(run)
    with registry.workspace() as workspace:
        model = workspace / "model"
        export(loaded, model, name)
        stable = registry.labels().get(STABLE)
        served = None if stable is None else registry.folder / str(stable)
        try:
            evidence = decide(model, loaded, served, rules)
        except GateRefusedError as error:
            told = "; ".join(error.evidence["reasons"])
            registry.refuse(told, run=run.name, gate=error.evidence)
            raise
        write_card(model, name, loaded, evidence)
        return registry.publish(
            model,
            f"export of {run.name}",
            run=run.name,
            network=sha256_of(run / "model.keras"),
            gate=evidence,
        )


def export(run: Run, model: Path, name: str = NAME) -> None:
    """Writes a run's SavedModel with its warm-up requests and digests, unchecked.

    The same run gives the same bytes, in any process that has the same libraries.

    Args:
        run: The loaded run.
        model: Folder to make.
        name: The model's name, in the warm-up requests.
    """
    collected: Any = archive(run)
    collected.write_out(str(model), verbose=False)
    canonicalise(model)
    takes = {name: signature.takes.name for name, signature in signatures(run).items()}
    warmup.write(model, name, takes)
    seal(model)


if __name__ == "__main__":
    sys.exit(run_command(ExportConfig, main, prog="python -m serving.export"))
