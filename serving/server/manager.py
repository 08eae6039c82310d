"""Which versions are loaded: loads new ones before it unloads old ones."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import grpc
from tensorflow_serving.apis import model_pb2

from serving.server import call_record, labels
from serving.server.errors import NothingToServeError, ServingError, invalid
from serving.server.loader import Load, Loader, Retries
from serving.server.model_config import ModelConfig, require_versions
from serving.server.policy import Specific
from serving.server.session import LoadedModel
from serving.server.version_state import State, Version, why_unavailable

_log = logging.getLogger(__name__)


class Models:
    """All models of a server. Look-ups take no lock: changes replace whole mappings."""

    def __init__(
        self,
        configs: Sequence[ModelConfig],
        load: Load,
        changed: Callable[[], None] = lambda: None,
        retries: Retries = Retries(),  # noqa: B008, it is frozen
    ) -> None:
        """Takes what to serve; loads nothing yet.

        Args:
            configs: The models.
            load: Makes a version ready to answer.
            changed: Called after every change of state.
            retries: Of versions that do not load.
        """
        self._configs = {config.name: config for config in configs}
        # As they were given: a label that stays may have changed what is followed.
        self._given = self._configs
        self._loader = Loader(load, retries)
        self._changed = changed
        self._versions: dict[str, Mapping[int, Version]] = {}
        self._updating = threading.Lock()

    def start(self) -> None:
        """Loads the first versions, each once: who waits wants to know at once.

        Raises:
            NothingToServeError: A model has no version, or none that loads.
        """
        require_versions(self._configs.values())
        self.update()
        for config in self._configs.values():
            versions = self._versions[config.name].values()
            errors = [version.error for version in versions if version.error]
            if errors and not self.available(config.name):
                raise NothingToServeError(
                    f"no version of {config.name} in {config.base_path} could be "
                    f"loaded: {errors[0].text}; publish it again with `make publish`"
                )

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        """Takes the models of a config file; those that are gone are unloaded.

        Labels move once their new versions are loaded, and before the old ones are
        unloaded, so that no call by label fails. One whose new version does not load
        stays where it is.
        """
        with self._updating:
            for config in configs:
                self._forget_failures(config)
                self._load_wanted(config)
            self._configs = {config.name: self._safe(config) for config in configs}
            self._given = {config.name: config for config in configs}
        self.update()

    def reload(self, configs: Sequence[ModelConfig], allow_unavailable: bool) -> None:
        """Takes the models of a reload by RPC; those that are gone are unloaded.

        Args:
            configs: All models to serve from now on.
            allow_unavailable: Lets new labels name versions that cannot answer yet.

        Raises:
            ServingError: A label names a version that cannot answer, or a new model
                has no version on disk: nothing was changed. Or no version of a new
                model loads: it is tried again as often as any other.
        """
        with self._updating:
            before = self._configs
            for config in configs:
                old = before.get(config.name)
                labels.require_available(
                    config.name,
                    config.labels,
                    old.labels if old else {},
                    self.available(config.name),
                    allow_unavailable,
                )
            new = [config for config in configs if config.name not in before]
            try:
                require_versions(new)
            except NothingToServeError as error:
                raise ServingError(
                    grpc.StatusCode.FAILED_PRECONDITION, str(error)
                ) from None
            for config in configs:
                self._forget_failures(config)
            self._configs = {config.name: config for config in configs}
            self._given = self._configs
        self.update()
        failed = [each for each in new if not self.available(each.name)]
        if failed:
            whole = ", ".join(
                why_unavailable(each.name, self.statuses(each.name)) for each in failed
            )
            raise ServingError(
                grpc.StatusCode.UNKNOWN,
                f"{len(failed)} model(s) did not become available: {{{whole}, }}",
            )

    def update(self) -> None:
        """Loads versions that appeared and unloads those that are not wanted."""
        with self._updating:
            for name in set(self._versions) - set(self._configs):
                self._unload(name, self._versions[name])
            for config in self._configs.values():
                try:
                    self._unload_unwanted(config, self._load_wanted(config))
                except OSError as error:  # of one model; its disk may be back later
                    _log.error(
                        "could not look for versions of %s: %s",
                        *(config.name, error.strerror),
                    )
        self._changed()

    def retry(self) -> None:
        """Tries again what failed, where its time has come.

        For a server that does not look for versions by itself; `update` does both.
        """
        now = time.monotonic()
        if any(
            version.retry_at <= now
            for versions in list(self._versions.values())
            for version in versions.values()
        ):
            self.update()

    def _forget_failures(self, config: ModelConfig) -> None:
        """A model that is configured anew is tried anew."""
        old = self._given.get(config.name)
        if old is None or (old.base_path, old.policy) != (
            config.base_path,
            config.policy,
        ):
            failed = [v for v in self.statuses(config.name) if v.error]
            self._unload(config.name, [version.number for version in failed])

    def _safe(self, config: ModelConfig) -> ModelConfig:
        old = self._configs.get(config.name)
        kept = labels.held_back(
            config.name,
            config.labels,
            old.labels if old else {},
            self._versions[config.name],
            self.available(config.name),
        )
        policy = config.policy
        if kept and isinstance(policy, Specific):
            policy = Specific(policy.versions | set(kept.values()))
        return dataclasses.replace(
            config, labels={**config.labels, **kept}, policy=policy
        )

    def _load_wanted(self, config: ModelConfig) -> set[int]:
        """Loads what is wanted and not there; returns the wanted versions."""
        known = self._versions.setdefault(config.name, {})
        wanted = config.policy.choose(set(config.folders()))
        for number in sorted(wanted, reverse=True):
            before = known.get(number)
            if before is None or (before.state == State.END and not before.error):
                self._try(config, number, self._loader.retries.count)
            elif before.retry_at <= time.monotonic():
                self._try(config, number, before.retries - 1)
            elif before.model and before.base_path != config.base_path:
                # The same number from elsewhere: the old one answers until it is there.
                moved = self._loader.attempt(config, number, 0)
                kept = dataclasses.replace(before, base_path=config.base_path)
                self._set(config.name, moved if moved.model else kept)
        return wanted

    def _try(self, config: ModelConfig, number: int, left: int) -> None:
        self._set(config.name, Version(number, State.LOADING, config.base_path))
        self._set(config.name, self._loader.attempt(config, number, left))

    def _unload_unwanted(self, config: ModelConfig, wanted: set[int]) -> None:
        if not config.base_path.is_dir():
            return  # as TF Serving does: a path that is gone unloads nothing
        # The old ones stay until a wanted one answers.
        if not wanted or wanted & self.available(config.name):
            self._unload(config.name, set(self._versions[config.name]) - wanted)

    def _unload(self, name: str, numbers: Collection[int]) -> None:
        """Ends versions, lowest first; calls in flight keep what they use alive."""
        for number in sorted(numbers):
            version = self._versions[name][number]
            if version.model or version.error:
                _log.info("unloading %s version %d", name, number)
                self._set(name, Version(number, State.END, version.base_path))

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
        if choice == "version_label":
            config = self._configs.get(spec.name)
            if config is None or spec.version_label not in config.labels:
                raise invalid(
                    f"Unrecognized servable version label: {spec.version_label}"
                )
            return config.labels[spec.version_label]
        return None

    def names(self) -> set[str]:
        """Returns the names of the configured models."""
        return set(self._configs)

    def available(self, name: str) -> set[int]:
        """Returns the versions of a model that can answer."""
        versions = self._versions.get(name, {})
        return {number for number, version in versions.items() if version.model}

    def statuses(self, name: str) -> list[Version]:
        """Returns all versions of a model ever seen, newest first."""
        versions = self._versions.get(name, {})
        return [versions[number] for number in sorted(versions, reverse=True)]

    def loaded(self) -> list[tuple[str, int]]:
        """Returns name and version of everything that can answer."""
        return [
            (name, number)
            for name in list(self._versions)
            for number in sorted(self.available(name))
        ]

    def ready(self) -> bool:
        """Whether every model has a version that can answer."""
        return bool(self._configs) and all(map(self.available, self._configs))
