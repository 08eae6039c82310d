"""Which versions are loaded: finds them, loads new ones before it unloads old ones."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from serving.server import call_record
from serving.server.errors import NothingToServeError, ServingError, invalid
from serving.server.model_config import ModelConfig, require_versions
from serving.server.session import LoadedModel

_log = logging.getLogger(__name__)

_State: Final = get_model_status_pb2.ModelVersionStatus

Load = Callable[[ModelConfig, int], LoadedModel]


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """One version's state, as GetModelStatus reports it.

    Attributes:
        number: The version.
        state: A `ModelVersionStatus.State`.
        model: What is loaded, while it is AVAILABLE.
        error: Why it could not be loaded.
    """

    number: int
    state: int
    model: LoadedModel | None = None
    error: ServingError | None = None


class Models:
    """All models of a server. Look-ups take no lock: changes replace whole mappings."""

    def __init__(
        self,
        configs: Sequence[ModelConfig],
        load: Load,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes what to serve; loads nothing yet.

        Args:
            configs: The models.
            load: Makes a version ready to answer.
            changed: Called after every change of state.
        """
        self._configs = {config.name: config for config in configs}
        self._load = load
        self._changed = changed
        self._versions: dict[str, Mapping[int, Version]] = {}
        self._updating = threading.Lock()

    def start(self) -> None:
        """Loads the first versions.

        Raises:
            NothingToServeError: A model has no version, or none that loads.
        """
        require_versions(self._configs.values())
        self.update()
        for config in self._configs.values():
            versions = self._versions[config.name].values()
            errors = [version.error for version in versions if version.error]
            if errors and not any(version.model for version in versions):
                raise NothingToServeError(
                    f"no version of {config.name} in {config.base_path} could be "
                    f"loaded: {errors[0].text}; publish it again with `make publish`"
                )

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        """Takes a new list of models; those that are gone from it are unloaded.

        Labels move once their new versions are loaded, and before the old ones are
        unloaded, so that no call by label fails. One whose new version does not load
        stays where it is.
        """
        with self._updating:
            for config in configs:
                self._load_wanted(config)
            self._configs = {config.name: self._safe(config) for config in configs}
        self.update()

    def _safe(self, config: ModelConfig) -> ModelConfig:
        before = self._configs.get(config.name)
        versions = self._versions[config.name]
        kept: dict[str, int] = {}
        for label, number in config.labels.items():
            old = before.labels.get(label) if before else None
            new = versions.get(number)
            if old is None or old not in versions or (new and new.model):
                continue
            kept[label] = old
            _log.error(
                "label %s of %s stays at version %d: version %d is not available",
                *(label, config.name, old, number),
            )
        return dataclasses.replace(
            config,
            labels={**config.labels, **kept},
            specific=config.specific and config.specific | set(kept.values()),
        )

    def update(self) -> None:
        """Loads versions that appeared and unloads those that are not wanted."""
        with self._updating:
            for name in set(self._versions) - set(self._configs):
                _log.info("unloading %s", name)
                del self._versions[name]
            for config in self._configs.values():
                self._load_wanted(config)
                self._unload_unwanted(config)
        self._changed()

    def _load_wanted(self, config: ModelConfig) -> None:
        known = self._versions.setdefault(config.name, {})
        for number in sorted(config.aspired(), reverse=True):
            before = known.get(number)
            # One that failed is tried again only after its folder was gone.
            if before is None or (before.state == _State.END and not before.error):
                self._set(config.name, Version(number, _State.LOADING))
                self._set(config.name, self._loaded(config, number))

    def _unload_unwanted(self, config: ModelConfig) -> None:
        if not config.base_path.is_dir():
            return  # as TF Serving does: a path that is gone unloads nothing
        wanted = config.aspired()
        now = self._versions[config.name]
        # The old ones stay until a wanted one answers.
        if wanted and not any(now[n].model for n in wanted if n in now):
            return
        for number, version in now.items():
            if number not in wanted and (version.model or version.error):
                _log.info("unloading %s version %d", config.name, number)
                self._set(config.name, Version(number, _State.END))

    def _loaded(self, config: ModelConfig, number: int) -> Version:
        try:
            model = self._load(config, number)
        except ServingError as error:
            _log.error(
                "could not load %s version %d: %s", config.name, number, error.text
            )
            return Version(number, _State.END, error=error)
        except Exception as error:  # one bad version must not hold up the others
            _log.exception("could not load %s version %d", config.name, number)
            text = f"loading failed with {type(error).__name__}, see the server's log"
            failed = ServingError(grpc.StatusCode.INTERNAL, text)
            return Version(number, _State.END, error=failed)
        _log.info("serving %s version %d", config.name, number)
        return Version(number, _State.AVAILABLE, model)

    def _set(self, name: str, version: Version) -> None:
        self._versions[name] = {**self._versions[name], version.number: version}

    def find(self, spec: model_pb2.ModelSpec) -> tuple[LoadedModel, int]:
        """Returns the loaded model that a ModelSpec names, and its version.

        Raises:
            ServingError: There is no such model, version or label.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        # A swap may fall between looking at the label and at the versions.
        version = self._look_up(spec) or self._look_up(spec)
        if version is None or version.model is None:
            wanted = self._wanted(spec)
            asked = spec.name if wanted is None else f"{spec.name}, {wanted}"
            kind = "Latest" if wanted is None else "Specific"
            raise ServingError(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: {kind}({asked})",
            )
        call_record.found(spec.name, version.number)
        return version.model, version.number

    def _look_up(self, spec: model_pb2.ModelSpec) -> Version | None:
        wanted = self._wanted(spec)
        versions = self._versions.get(spec.name, {})
        if wanted is None:
            loaded = [number for number, version in versions.items() if version.model]
            wanted = max(loaded, default=-1)
        version = versions.get(wanted)
        return version if version is not None and version.model else None

    def _wanted(self, spec: model_pb2.ModelSpec) -> int | None:
        choice = spec.WhichOneof("version_choice")
        if choice == "version":
            return int(spec.version.value)
        if choice == "version_label" and spec.version_label:
            config = self._configs.get(spec.name)
            if config is None or spec.version_label not in config.labels:
                raise invalid(
                    f"Unrecognized servable version label: {spec.version_label}"
                )
            return config.labels[spec.version_label]
        return None

    def statuses(self, name: str) -> list[Version]:
        """Returns all versions of a model ever seen, newest first."""
        versions = self._versions.get(name, {})
        if versions:
            call_record.found(name)
        return [versions[number] for number in sorted(versions, reverse=True)]

    def loaded(self) -> list[tuple[str, int]]:
        """Returns name and version of everything that can answer."""
        return [
            (name, number)
            for name, versions in list(self._versions.items())
            for number, version in versions.items()
            if version.model
        ]

    def ready(self) -> bool:
        """Whether every model has a version that can answer."""
        return bool(self._configs) and all(
            any(version.model for version in self._versions.get(name, {}).values())
            for name in self._configs
        )


def status_proto(version: Version) -> Any:
    """Returns a version's state as GetModelStatus sends it."""
    status = _State(version=version.number, state=version.state)
    if version.error is not None:
        status.status.error_code = version.error.code.value[0]
        status.status.error_message = version.error.text
    else:
        status.status.error_code = 0
    return status
