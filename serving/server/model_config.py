"""Which models and versions to serve, from the flags or TF Serving's config file."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.server.errors import NothingToServeError
from serving.server.flags import ServerConfig
from serving.versions import VERSION_LIMIT


@dataclasses.dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model and the versions of it that are wanted.

    Attributes:
        name: What clients call it.
        base_path: Folder of numbered versions.
        latest: Wants that many of the newest versions; None wants `specific` ones,
            or all where there are none.
        specific: Wanted versions.
        labels: Version by label.
    """

    name: str
    base_path: Path
    latest: int | None = 1
    specific: frozenset[int] = frozenset()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def folders(self) -> dict[int, Path]:
        """Returns the versions on disk: every child whose name is a number."""
        if not self.base_path.is_dir():
            return {}
        return {
            int(child.name): child
            for child in sorted(self.base_path.iterdir())
            if child.name.isdecimal() and int(child.name) < VERSION_LIMIT
        }

    def aspired(self) -> set[int]:
        """Returns the versions on disk that are wanted."""
        found = set(self.folders())
        if self.specific:
            return found & self.specific
        return set(sorted(found)[-self.latest :]) if self.latest else found

    def why_empty(self) -> str:
        """Returns what is missing and what to do."""
        if not self.base_path.is_dir():
            missing = f"{self.base_path} does not exist"
        elif self.specific:
            wanted = ", ".join(map(str, sorted(self.specific)))
            missing = f"{self.base_path} has no version {wanted}"
        else:
            missing = f"{self.base_path} holds no version (a folder named 1, 2, ...)"
        return f"{missing}; publish a model with `make publish`"


def read_models(config: ServerConfig) -> list[ModelConfig]:
    """Returns the models that the flags name.

    Raises:
        NothingToServeError: The config file cannot be used; says why.
    """
    if config.model_config_file is None:
        assert config.model_base_path is not None  # ServerConfig has checked
        return [ModelConfig(config.model_name, config.model_base_path.resolve())]
    path = config.model_config_file
    if not path.is_file():
        raise NothingToServeError(
            f"{path} does not exist; publish a model with `make publish`"
        )
    try:
        text = path.read_text()
        parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise NothingToServeError(
            f"{path} cannot be read as a ModelServerConfig: {error}; write one with "
            "`python -m serving.registry config`"
        ) from None
    models = [_model(each) for each in parsed.model_config_list.config]
    names = [model.name for model in models]
    if not models:
        raise NothingToServeError(f"{path} lists no model in a model_config_list")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise NothingToServeError(
            f"Illegal to list model {twice} multiple times in config list"
        )
    return models


def require_versions(models: Iterable[ModelConfig]) -> None:
    """Checks that each model has a version on disk.

    Raises:
        NothingToServeError: One has none; says what to do.
    """
    for model in models:
        if not model.aspired():
            raise NothingToServeError(model.why_empty())


def _model(each: Any) -> ModelConfig:
    if not Path(each.base_path).is_absolute():
        raise NothingToServeError(
            f"Expected model {each.name} to have an absolute path or URI; got "
            f"base_path()={each.base_path}"
        )
    policy = each.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    return ModelConfig(
        name=each.name,
        base_path=Path(each.base_path),
        latest=None
        if choice in ("all", "specific")
        else policy.latest.num_versions or 1,
        specific=frozenset(policy.specific.versions),
        labels=dict(each.version_labels),
    )
