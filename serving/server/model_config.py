"""Which models to serve, from the flags or TF Serving's ModelServerConfig."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.server.config import ServerConfig
from serving.server.errors import NothingToServeError, ServingError, invalid
from serving.server.policy import NEWEST, Policy, Specific, policy_of, version_folders

_PLATFORM: Final = "tensorflow"
_TYPE_TENSORFLOW: Final = 1
"""`ModelType.TENSORFLOW`, which `model_platform` replaced."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model and the versions of it that are wanted.

    Attributes:
        name: What clients call it.
        base_path: Folder of numbered versions.
        policy: Chooses among the versions on disk.
        labels: Version by label.
    """

    name: str
    base_path: Path
    policy: Policy = NEWEST
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def folders(self) -> dict[int, Path]:
        """Returns the versions on disk."""
        return version_folders(self.base_path)

    def why_empty(self) -> str:
        """Returns what is missing and what to do."""
        if not self.base_path.is_dir():
            missing = f"{self.base_path} does not exist"
        elif isinstance(self.policy, Specific):
            wanted = ", ".join(map(str, sorted(self.policy.versions)))
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
    try:
        models = from_proto(parsed)
    except ServingError as error:
        raise NothingToServeError(f"{path}: {error.text}") from None
    if not models:
        raise NothingToServeError(f"{path} lists no model in a model_config_list")
    return models


def from_proto(parsed: Any, before: Iterable[str] = ()) -> list[ModelConfig]:
    """Returns the models of a ModelServerConfig.

    Args:
        parsed: The config; one without a model_config_list has no models.
        before: Names of the models that are served already.

    Raises:
        ServingError: TF Serving would refuse it; with its text.
    """
    entries = parsed.model_config_list.config
    names: set[str] = set()
    for each in entries:
        if each.name in names:
            raise invalid(
                f"Illegal to list model {each.name} multiple times in config list"
            )
        names.add(each.name)
    for each in entries:
        if not Path(each.base_path).is_absolute():
            raise invalid(
                f"Expected model {each.name} to have an absolute path or URI; got "
                f"base_path()={each.base_path}"
            )
    for each in entries:
        _require_platform(each, each.name in before)
    return [
        ModelConfig(
            name=each.name,
            base_path=Path(each.base_path),
            policy=policy_of(each.model_version_policy),
            labels=dict(each.version_labels),
        )
        for each in entries
    ]


def require_versions(models: Iterable[ModelConfig]) -> None:
    """Checks that each model has a version on disk.

    Raises:
        NothingToServeError: One has none; says what to do.
    """
    for model in models:
        if not model.policy.choose(set(model.folders())):
            raise NothingToServeError(model.why_empty())


def require_labels_allowed(models: Iterable[ModelConfig], allowed: bool) -> None:
    """Checks that the first configuration may have labels, as TF Serving wants it.

    Raises:
        NothingToServeError: There are some, and the flag for them was not given.
    """
    for model in models:
        for label, version in model.labels.items():
            if not allowed:
                raise NothingToServeError(
                    f"label {label} is for version {version} of model {model.name}, "
                    "which is not loaded when the server starts; give "
                    "--allow_version_labels_for_unavailable_models"
                )


def _require_platform(each: Any, served: bool) -> None:
    """Refuses what TF Serving would: a config that runs here has to run there."""
    platform = each.model_platform
    if each.model_type == _TYPE_TENSORFLOW:
        if platform:
            raise invalid(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {each.name}"
            )
        platform = _PLATFORM
    if not platform:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {each.name}; write "
            f'model_platform: "{_PLATFORM}"'
        )
    if platform == _PLATFORM:
        return
    if served:
        raise invalid(
            f"Illegal to change a model's platform. For model {each.name} platform was "
            f"{_PLATFORM} and new platform requested is {platform}"
        )
    raise invalid(f"Model {each.name} requests unsupported platform {platform}")
