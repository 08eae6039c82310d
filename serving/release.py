"""Makes a published version the released one, which every checkout brings along.

    python -m serving.release --version 3

`serving/released/` holds one model, at most 3 MB with its card: what a stranger gets
who has trained nothing. The new one is in place by a rename, then the old one goes.
"""

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from pipeline.command import DONE, run_command
from pipeline.files import write_json
from pipeline.released import RELEASED, newest_version
from serving import durable
from serving.card_page import PAGE, write_page
from serving.inspecting import CARD, size_of
from serving.integrity import is_sealed, reseal
from serving.registry import NAME, Registry
from serving.workspace import workspace

LIMIT: Final = 3_000_000
"""Bytes of the whole folder: every clone carries them, and those of earlier ones."""

REFUSED: Final = 3

_TRAINING: Final = ("hours", "machines", "data")


class ReleaseRefusedError(Exception):
    """The version must not be released; the message says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReleaseConfig:
    """Releases a published version.

    Attributes:
        version: Which one; `make versions` lists them.
        root: The registry's root.
        into: Folder of the released model.
    """

    version: int
    root: Path = Path("models")
    into: Path = RELEASED.parent


def main(config: ReleaseConfig) -> int:
    """Releases a version, says what to do next, returns the exit code."""
    try:
        placed = release(config)
    except ReleaseRefusedError as error:
        print(f"refused, nothing was released: {error}", file=sys.stderr)
        return REFUSED
    print(
        f"released version {config.version} as {placed}, {size_of(placed) / 1e6:.2f} "
        f"MB; next: git add {config.into}"
    )
    return DONE


def release(config: ReleaseConfig) -> Path:
    """Copies a published version to where the released one lies.

    Returns:
        Its folder.

    Raises:
        RegistryError: There is no such version.
        ReleaseRefusedError: It is damaged or too large, or its card lacks what a
            stranger needs.
    """
    registry = Registry(config.root, NAME)
    published = registry.folder_of(config.version)
    before = newest_version(config.into / NAME)
    number = 1 if before is None else int(before.name) + 1
    if found := registry.faults(config.version):
        raise ReleaseRefusedError(
            f"it is not as it was published: {'; '.join(found)}; publish it again"
        )
    with workspace(config.into) as prepared:
        model = prepared / "model"
        shutil.copytree(published, model)
        card = json.loads((model / CARD).read_text())
        _check_card(card)
        numbered = {"version": number, **card}
        write_json(model / CARD, numbered)
        write_page(model, numbered)
        if is_sealed(model):
            reseal(model, CARD, PAGE)
        if size_of(model) > LIMIT:
            raise ReleaseRefusedError(
                f"it has {size_of(model)} bytes, allowed are {LIMIT}: {_largest(model)}"
                "; train a smaller network"
            )
        placed = config.into / NAME / str(number)
        placed.parent.mkdir(parents=True, exist_ok=True)
        durable.move(model, placed)
    for old in placed.parent.iterdir():
        if old != placed:
            shutil.rmtree(old)
    return placed


def _check_card(card: dict[str, Any]) -> None:
    if not card.get("metrics"):
        raise ReleaseRefusedError(
            f"run {card.get('run')} was not evaluated before it was published; "
            "`make evaluate` and `make publish` it again, then release that version"
        )
    training = card.get("training", {})
    missing = [name for name in _TRAINING if not training.get(name)]
    if missing:
        raise ReleaseRefusedError(
            f"its card does not tell {' and '.join(missing)} of the training; train "
            "and publish it with this version of the program"
        )


def _largest(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    files.sort(key=lambda path: -path.stat().st_size)
    return ", ".join(
        f"{path.relative_to(folder)} {path.stat().st_size}" for path in files[:3]
    )


if __name__ == "__main__":
    sys.exit(run_command(ReleaseConfig, main, prog="python -m serving.release"))
