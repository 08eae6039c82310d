"""What is known of published versions: their figures, files, faults and differences."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from serving.versions import Registry

CARD: Final = Path("assets.extra") / "model_card.json"

_FIGURES: Final = {
    "accuracy": ("volumes", "accuracy"),
    "ece": ("volumes", "calibration", "ece"),
    "real_accuracy": ("real", "mean_verdict_accuracy"),
}
"""Of scans: of the split that was evaluated, and of real ones."""


def overview(registry: Registry) -> list[dict[str, Any]]:
    """Returns a row for each version, oldest first.

    Returns:
        `version`, its `labels`, when it was `published` (UTC), the `run`, `accuracy`,
        `ece` (expected calibration error) and `real_accuracy` of scans, `bytes`, and
        the gate's `decision`; None where it is not known.
    """
    return [summary(registry, version) for version in registry.versions()]


def summary(registry: Registry, version: int) -> dict[str, Any]:
    """Returns the row of one version; see `overview`.

    Raises:
        RegistryError: There is no such version.
    """
    folder = registry.folder_of(version)
    card = card_of(folder)
    times = [entry["time"] for entry in _publications(registry, version)]
    return {
        "version": version,
        "labels": [name for name, one in registry.labels().items() if one == version],
        "published": times[0] if times else None,
        "run": card.get("run"),
        **{name: _at(card.get("metrics"), path) for name, path in _FIGURES.items()},
        "bytes": size_of(folder),
        "decision": _at(card, ("gate", "decision")),
    }


def details(registry: Registry, version: int) -> dict[str, Any]:
    """Returns a version's row, files with their bytes, history and model card."""
    folder = registry.folder_of(version)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        **summary(registry, version),
        "folder": str(folder),
        "files": {
            path.relative_to(folder).as_posix(): path.stat().st_size for path in paths
        },
        "history": [
            {name: value for name, value in entry.items() if name != "gate"}
            for entry in registry.history()
            if version in (entry.get("version"), entry.get("replaces"))
        ],
        "card": card_of(folder),
    }


def differences(registry: Registry, version: int, against: int) -> dict[str, list[Any]]:
    """Returns where two versions' cards differ: dotted name to both values.

    What has no counterpart is None there. Bins, curves and tables count as one value
    and are left out: `show` has them.

    Raises:
        RegistryError: There is no such version.
    """
    one, other = (
        {"bytes": size_of(folder), **dict(_flat(card_of(folder)))}
        for folder in (registry.folder_of(version), registry.folder_of(against))
    )
    names = [*one, *(name for name in other if name not in one)]
    return {
        name: [one.get(name), other.get(name)]
        for name in names
        if one.get(name) != other.get(name)
    }


def _publications(registry: Registry, version: int) -> list[dict[str, Any]]:
    return [
        entry
        for entry in registry.history()
        if entry["action"] == "publish" and entry["version"] == version
    ]


def label_faults(registry: Registry) -> list[str]:
    """Returns what is wrong with the labels, and with what servers read of them."""
    there, labels = registry.versions(), registry.labels()
    wrong = [
        f"label {label} names version {version}, which does not exist"
        for label, version in labels.items()
        if version not in there
    ]
    config = registry.root / "models.config"
    if labels and (not config.is_file() or config.read_text() != registry.served()):
        wrong.append(
            f"{config} does not say what labels.json says, or the registry was moved; "
            f"`python -m serving.registry config --out {config}` writes it anew"
        )
    return wrong


def card_of(folder: Path) -> dict[str, Any]:
    """Returns a version's model card; empty where there is none, or it is damaged."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text())
    except (OSError, ValueError):
        return {}
    return card


def size_of(folder: Path) -> int:
    """Returns the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _at(content: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif not isinstance(value, list) or all(
            isinstance(each, int | float | str) for each in value
        ):
            yield f"{before}{name}", value
