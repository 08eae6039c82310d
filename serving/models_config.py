"""TF Serving's `models.config`: the labelled versions of each model, and no others."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """A model that a server is to load.

    Attributes:
        name: What callers name it by.
        base: Where the server finds the folder of its versions.
        labels: Version by label.
    """

    name: str
    base: Path
    labels: Mapping[str, int]


def render(models: Sequence[Served]) -> str:
    """Returns the text of a `ModelServerConfig`."""
    lines = [line for model in models for line in _lines(model)]
    return "\n".join(["model_config_list {", *lines, "}"]) + "\n"


def _lines(model: Served) -> list[str]:
    versions = sorted(set(model.labels.values()))
    return [
        "  config {",
        f"    name: {json.dumps(model.name)}",
        f"    base_path: {json.dumps(str(model.base))}",
        '    model_platform: "tensorflow"',
        "    model_version_policy {",
        "      specific {",
        *(f"        versions: {version}" for version in versions),
        "      }",
        "    }",
        *(
            f"    version_labels {{ key: {json.dumps(label)} value: {version} }}"
            for label, version in sorted(model.labels.items())
        ),
        "  }",
    ]
