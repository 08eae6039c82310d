"""Model configs, as a file and as a message."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2


@dataclasses.dataclass(frozen=True)
class Model:
    """One entry of a config.

    Attributes:
        policy: A `model_version_policy` as text, such as `latest { num_versions: 2 }`;
            `all` for short.
    """

    name: str
    base_path: Path | str
    policy: str = ""
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    platform: str = "tensorflow"


def config_of(*models: Model) -> model_server_config_pb2.ModelServerConfig:
    config = model_server_config_pb2.ModelServerConfig()
    for model in models:
        entry = config.model_config_list.config.add(
            name=model.name,
            base_path=str(model.base_path),
            model_platform=model.platform,
        )
        if model.policy:
            policy = "all {}" if model.policy == "all" else model.policy
            text_format.Parse(policy, entry.model_version_policy)
        entry.version_labels.update(model.labels)
    return config


def write_config(path: Path, *models: Model) -> Path:
    """Writes a config in one step, so that no server reads half of it."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(text_format.MessageToString(config_of(*models)))
    return unfinished.rename(path)
