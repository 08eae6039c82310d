"""Presets in files: the settings of a training, beside the evidence for them.

    make train PRESET=runs/tune/NAME/preset.json

    {"settings": {"learning_rate": 0.003, "hyper": {"filters": [16, 32, 64]}}, …}

What `settings` leaves out is as in the training without options; what else stands in
the file is for people.
"""

import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from pipeline.files import write_json
from pipeline.settings import TrainConfig

ENDING: Final = ".json"
"""What tells the file of a preset from the name of one."""

APART: Final = frozenset(
    (
        *("preset", "shards", "run", "seed", "restart", "checkpoint_seconds"),
        *("device", "precision", "xla"),
    )
)
"""Of one training on one machine, and so of no preset."""

_Settings = TypeVar("_Settings")


def settings_of(training: TrainConfig) -> dict[str, Any]:
    """Returns what of a training a preset holds, as JSON does."""
    content: dict[str, Any] = json.loads(
        json.dumps(dataclasses.asdict(training), default=str)
    )
    return {name: value for name, value in content.items() if name not in APART}


def save_preset(path: Path, training: TrainConfig, evidence: Mapping[str, Any]) -> None:
    """Writes a training as a preset.

    Args:
        path: Of the file; its name ends in `.json`.
        training: Whose settings.
        evidence: Why these; JSON.
    """
    write_json(path, {"settings": settings_of(training), "evidence": evidence})


def load_preset(path: Path) -> TrainConfig:
    """Reads a preset.

    Args:
        path: Of a file with `settings`, such as one of `save_preset`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON, has no settings, or one that there is not or that is
            of another kind or out of its range.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no preset {path}; `make winner NAME=` writes one, and `make "
            "train PRESET=` also takes the name of one"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"preset {path} is no JSON ({error}); mend it") from None
    settings = content.get("settings") if isinstance(content, dict) else None
    if not isinstance(settings, dict):
        raise ValueError(
            f'preset {path} has no settings; it needs {{"settings": {{…}}}} with '
            "options of pipeline.train"
        )
    try:
        training = _made(TrainConfig, settings, APART)
    except (TypeError, ValueError) as error:
        raise ValueError(f"preset {path} cannot be used: {error}") from None
    return dataclasses.replace(training, preset=str(path))


def _made(
    kind: type[_Settings],
    values: Mapping[str, Any],
    without: frozenset[str] = frozenset(),
) -> _Settings:
    """Builds a dataclass of settings from what JSON made of them."""
    hints = typing.get_type_hints(kind)
    allowed = hints.keys() - without
    if unknown := values.keys() - allowed:
        raise ValueError(
            f"there is no setting {', '.join(sorted(unknown))}; there are "
            f"{', '.join(sorted(allowed))}"
        )
    return kind(**{name: _of(hints[name], name, v) for name, v in values.items()})


def _of(hint: Any, name: str, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ValueError(f"{name} must hold settings of its own, got {value!r}")
        return _made(typing.cast(type[Any], hint), value)
    value = tuple(value) if isinstance(value, list) else value
    try:
        check_type(
            value, hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS
        )
    except TypeCheckError:
        kind = hint.__name__ if isinstance(hint, type) else str(hint)
        raise ValueError(f"{name} must be of {kind}, got {value!r}") from None
    return value
