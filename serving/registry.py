"""The registry's commands: list, promote, roll back, and tell TF Serving what to serve.

Publishing (`python -m serving.export`) changes nothing that is served; promoting does.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pipeline.command import run_command
from pipeline.files import replacing
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


@dataclasses.dataclass(frozen=True, slots=True)
class ListVersions:
    """Shows the versions and what their labels are."""

    root: Path = Path("models")
    name: str = NAME

    def __call__(self) -> None:
        """Prints a line for each version."""
        registry = Registry(self.root, self.name)
        if not registry.versions():
            raise RegistryError(
                f"{self.root} has no published {self.name}; run `make publish`"
            )
        for version in registry.versions():
            labels = [k for k, v in registry.labels().items() if v == version]
            print(f"{version:>4}  {', '.join(labels)}".rstrip())


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
class Config:
    """Prints TF Serving's models.config, or writes it.

    models/models.config follows the labels by itself; this is for containers, and for
    a registry that was moved.
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
        text = models_config(Registry(self.root, self.name), self.base, self.version)
        if self.out is None:
            print(text, end="")
        else:
            with replacing(self.out) as temporary:
                temporary.write_text(text)


Command = (
    Annotated[ListVersions, tyro.conf.subcommand("list")]
    | Annotated[Promote, tyro.conf.subcommand("promote")]
    | Annotated[Rollback, tyro.conf.subcommand("rollback")]
    | Annotated[Config, tyro.conf.subcommand("config")]
)


if __name__ == "__main__":
    command: Any = Command
    sys.exit(
        run_command(command, lambda each: each(), prog="python -m serving.registry")
    )
