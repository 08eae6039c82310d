"""The registry's commands: look, promote, roll back, prune, verify, tell TF Serving.

Publishing (`python -m serving.export`) changes nothing that is served; promoting does.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import tyro

from pipeline.command import DONE, run_command
from pipeline.files import as_json, replacing
from serving import inspecting, tables
from serving.integrity import is_sealed
from serving.versions import (
    CANARY,
    NAME,
    STABLE,
    Registry,
    RegistryError,
    models_config,
)

__all__ = [
    "CANARY",
    "NAME",
    "STABLE",
    "Registry",
    "RegistryError",
    "models_config",
]


FAULTY: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class ListVersions:
    """Shows the versions, what their labels are, and how well they do."""

    root: Path = Path("models")
    name: str = NAME
    json: bool = False
    """Print JSON instead of a table."""

    def __call__(self) -> None:
        """Prints a row for each version."""
        rows = inspecting.overview(_published(self.root, self.name))
        if self.json:
            print(as_json(rows), end="")
        else:
            tables.overview(rows)


@dataclasses.dataclass(frozen=True, slots=True)
class Show:
    """Shows all that is known of a version: figures, files, history, model card."""

    version: int
    root: Path = Path("models")
    name: str = NAME
    json: bool = False
    """Print JSON, with the whole card, instead of tables."""

    def __call__(self) -> None:
        """Prints it."""
        found = inspecting.details(Registry(self.root, self.name), self.version)
        if self.json:
            print(as_json(found), end="")
        else:
            tables.details(found)


@dataclasses.dataclass(frozen=True, slots=True)
class Diff:
    """Shows where the model cards of two versions differ."""

    version: int
    against: int | None = None
    """Another version; the stable one if not given."""
    root: Path = Path("models")
    name: str = NAME
    json: bool = False
    """Print JSON instead of a table."""

    def __call__(self) -> None:
        """Prints a row for each difference."""
        registry = _published(self.root, self.name)
        other = registry.labels().get(STABLE) if self.against is None else self.against
        if other is None:
            raise RegistryError(f"nothing is {STABLE}; name a version with --against")
        found = inspecting.differences(registry, self.version, other)
        if self.json:
            print(as_json(found), end="")
        elif found:
            tables.differences(found, self.version, other)
        else:
            print(f"the cards of versions {self.version} and {other} say the same")


@dataclasses.dataclass(frozen=True, slots=True)
class Verify:
    """Checks every file of every version, and that the labels name some."""

    version: int | None = None
    """Check this one alone."""
    root: Path = Path("models")
    name: str = NAME
    json: bool = False
    """Print JSON instead of lines."""

    def __call__(self) -> int:
        """Prints what is wrong; returns the exit code."""
        registry = _published(self.root, self.name)
        chosen = registry.versions() if self.version is None else [self.version]
        faults = {one: registry.faults(one) for one in chosen}
        sealed = {one: is_sealed(registry.folder / str(one)) for one in chosen}
        labels = inspecting.label_faults(registry) if self.version is None else []
        if self.json:
            print(
                as_json({"faults": faults, "sealed": sealed, "labels": labels}), end=""
            )
        else:
            for one in chosen:
                whole = "whole" if sealed[one] else "published without digests"
                print(
                    f"{registry.folder / str(one)}: {'; '.join(faults[one]) or whole}"
                )
            for fault in labels:
                print(fault)
        if not labels and not any(faults.values()):
            return DONE
        bad = [str(one) for one in chosen if faults[one]]
        told = f"version {', '.join(bad)} is damaged" if bad else "labels are damaged"
        print(f"refused: {told}; see above", file=sys.stderr)
        return FAULTY


@dataclasses.dataclass(frozen=True, slots=True)
class Promote:
    """Points a label at a published version, so that servers take it up."""

    version: int
    label: Literal["stable", "canary"] = "stable"
    reason: str = ""
    root: Path = Path("models")
    name: str = NAME

    def __call__(self) -> None:
        """Moves the label."""
        Registry(self.root, self.name).promote(self.version, self.label, self.reason)
        print(f"{self.label} is now version {self.version}")


@dataclasses.dataclass(frozen=True, slots=True)
class Rollback:
    """Points a label back at the version that it named before."""

    label: Literal["stable", "canary"] = "stable"
    reason: str = ""
    root: Path = Path("models")
    name: str = NAME

    def __call__(self) -> None:
        """Moves the label back."""
        version = Registry(self.root, self.name).rollback(self.label, self.reason)
        print(f"{self.label} is version {version} again")


@dataclasses.dataclass(frozen=True, slots=True)
class Prune:
    """Removes old versions: none with a label, none that a rollback would need."""

    keep: int = 5
    """So many of the newest stay in any case."""
    dry_run: bool = False
    """Only tell what would be removed."""
    reason: str = ""
    root: Path = Path("models")
    name: str = NAME
    json: bool = False
    """Print JSON instead of a line."""

    def __call__(self) -> None:
        """Removes them, or tells which."""
        registry = _published(self.root, self.name)
        gone = (
            registry.prunable(self.keep)
            if self.dry_run
            else registry.prune(self.keep, self.reason)
        )
        if self.json:
            print(as_json({"removed": gone, "dry_run": self.dry_run}), end="")
            return
        told = ", ".join(map(str, gone)) or "nothing"
        print(f"{'would remove' if self.dry_run else 'removed'}: {told}")


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """Prints TF Serving's models.config, or writes it.

    models/models.config follows the labels by itself; this is for containers, and for
    a registry that was moved. It names all models under the root; with `--base` or
    `--version` this one alone.
    """

    root: Path = Path("models")
    name: str = NAME
    base: Path | None = None
    """Where the server finds the model's folder, as in a container."""
    version: int | None = None
    """Serve this version alone, as `stable`."""
    out: Path | None = None
    """Write here instead of printing."""

    def __call__(self) -> None:
        """Prints or writes the configuration."""
        registry = Registry(self.root, self.name)
        alone = self.base is not None or self.version is not None
        text = registry.served()
        if alone or not text:
            text = models_config(registry, self.base, self.version)
        if self.out is None:
            print(text, end="")
        else:
            with replacing(self.out) as temporary:
                temporary.write_text(text)


def _published(root: Path, name: str) -> Registry:
    """Returns a registry that has versions.

    Raises:
        RegistryError: It has none.
    """
    registry = Registry(root, name)
    if not registry.versions():
        raise RegistryError(f"{root} has no published {name}; run `make publish`")
    return registry


Command = (
    Annotated[ListVersions, tyro.conf.subcommand("list")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Diff, tyro.conf.subcommand("diff")]
    | Annotated[Verify, tyro.conf.subcommand("verify")]
    | Annotated[Promote, tyro.conf.subcommand("promote")]
    | Annotated[Rollback, tyro.conf.subcommand("rollback")]
    | Annotated[Prune, tyro.conf.subcommand("prune")]
    | Annotated[Config, tyro.conf.subcommand("config")]
)


if __name__ == "__main__":
    command: Any = Command
    sys.exit(
        run_command(command, lambda each: each(), prog="python -m serving.registry")
    )
