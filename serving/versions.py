"""Versions of a model on disk: publish, promote, roll back, tell TF Serving.

    models/labels.json              which version is `stable`, which is `canary`
    models/models.config            the same for TF Serving: it names them and no others
    models/registry.jsonl           who replaced what, and why: appended, never changed
    models/mri_contrast/1/          a SavedModel, in place by rename, with the digests
                                    of its files (integrity.py)

Publishing changes nothing that is served, promoting does. Every command works under
a lock, so two publishers at once get different versions.
"""

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pipeline.files import replacing, sha256_of, sync, write_json
from serving import durable, history, integrity
from serving.models_config import Served, render
from serving.workspace import workspace

NAME: Final = "mri_contrast"
STABLE: Final = "stable"
CANARY: Final = "canary"
LABELS: Final = (STABLE, CANARY)
VERSION_LIMIT: Final = 2**63
"""Versions are int64 in every message of TF Serving."""

_INTERRUPTED: Final = "found later: the command that moved the label was interrupted"


class RegistryError(ValueError):
    """The registry cannot do what was asked; the message says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Registry:
    """The versions of one model under a root folder.

    Attributes:
        root: Holds the model's folder, `labels.json` and `registry.jsonl`.
        name: The model's name, and that of its folder.
    """

    root: Path
    name: str = NAME

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(
                f"a model's name is one plain folder name, got {self.name!r}"
            )

    @property
    def folder(self) -> Path:
        """Where the versions lie."""
        return self.root / self.name

    def folder_of(self, version: int) -> Path:
        """Returns a version's folder.

        Raises:
            RegistryError: There is no such version.
        """
        if version not in self.versions():
            raise RegistryError(
                f"{self.folder} has no version {version}; "
                f"published: {self.versions() or 'none, run `make publish`'}"
            )
        return self.folder / str(version)

    def versions(self) -> list[int]:
        """Returns the published versions, oldest first."""
        if not self.folder.is_dir():
            return []
        numbers = (
            int(child.name)
            for child in self.folder.iterdir()
            if child.is_dir() and child.name.isdecimal()
        )
        return sorted(number for number in numbers if number < VERSION_LIMIT)

    def labels(self) -> dict[str, int]:
        """Returns which version each label names."""
        labels = self._all_labels().get(self.name, {})
        return {label: int(version) for label, version in labels.items()}

    def faults(self, version: int) -> list[str]:
        """Returns what is wrong with a version's files; nothing of a whole one.

        Raises:
            RegistryError: There is no such version.
        """
        folder = self.folder_of(version)
        known = [
            entry.get("sums")
            for entry in self.history()
            if entry["action"] == "publish" and entry["version"] == version
        ]
        if not integrity.is_sealed(folder):
            return [f"{integrity.SUMS} is missing"] if any(known) else []
        wrong = integrity.damage(folder)
        if any(known) and sha256_of(folder / integrity.SUMS) not in known:
            wrong.append(f"{integrity.SUMS} is not the one published")
        return wrong

    def history(self) -> list[dict[str, Any]]:
        """Returns what happened to this model's versions, oldest first."""
        return history.entries(self.root, self.name)

    def publish(self, prepared: Path, reason: str = "", **evidence: Any) -> int:
        """Moves a complete SavedModel in as the next version; serves nothing new.

        The very first version becomes `stable`, so that there is something to serve.

        Args:
            prepared: The SavedModel's folder, on the same file system as the root.
            reason: Kept in the history.
            evidence: Kept there as well.

        Returns:
            The version.

        Raises:
            RegistryError: A file is not as it was sealed.
        """
        integrity.seal(prepared)
        if found := integrity.damage(prepared):
            raise RegistryError(
                f"the prepared model was damaged ({'; '.join(found)}); publish it again"
            )
        sums = sha256_of(prepared / integrity.SUMS)
        with self._locked():
            used = [
                entry["version"]
                for entry in self.history()
                if entry["action"] in ("publish", "prune")
            ]
            # A pruned version's number is never used again.
            version = max([*self.versions(), *used], default=0) + 1
            self.folder.mkdir(parents=True, exist_ok=True)
            durable.move(prepared, self.folder / str(version))
            told = {"reason": reason, "sums": sums, **evidence}
            self._record("publish", version=version, **told)
            if STABLE not in self.labels():
                self._move(STABLE, version, "promote", "the first version")
        return version

    def refuse(self, reason: str, **evidence: Any) -> None:
        """Notes in the history that something was not published, and why."""
        with self._locked():
            self._record("refuse", reason=reason, **evidence)

    def promote(self, version: int, label: str = STABLE, reason: str = "") -> None:
        """Points a label at a published version.

        Raises:
            RegistryError: There is no such version or label, or it is damaged.
        """
        with self._locked():
            self._move(label, version, "promote", reason)

    def rollback(self, label: str = STABLE, reason: str = "") -> int:
        """Points a label back at the version that it named before.

        Returns:
            The version that the label names now.

        Raises:
            RegistryError: The label never named another version that still exists,
                or that is damaged.
        """
        with self._locked():
            before = self.before(label)
            if before is not None:
                self._move(label, before, "rollback", reason)
                return before
        raise RegistryError(
            f"{label} names version {self.labels().get(label)} and no earlier one that "
            f"still exists; versions: {self.versions() or 'none'}; name one with "
            "`promote`"
        )

    def before(self, label: str) -> int | None:
        """Returns the version that a label would be rolled back to, if there is one."""
        current, existing = self.labels().get(label), self.versions()
        for entry in reversed(self.history()):
            promoted = entry["action"] == "promote" and entry.get("label") == label
            before = entry.get("replaces")
            moved = promoted and entry["version"] == current != before
            if moved and before in existing:
                return int(before)
        return None

    def prune(self, keep: int, reason: str = "") -> list[int]:
        """Removes old versions, but none that is served or may be rolled back to.

        Args:
            keep: So many of the newest stay in any case.
            reason: Kept in the history.

        Returns:
            The versions that are gone.
        """
        with self.workspace() as gone, self._locked():
            removed = self.prunable(keep)
            for version in removed:
                # Out of every server's sight at once; a kill leaves it to be removed
                # with the workspace of a process that is gone.
                durable.move(self.folder / str(version), gone / str(version))
                sync(self.folder)
                self._record("prune", version=version, reason=reason)
        return removed

    def prunable(self, keep: int) -> list[int]:
        """Returns the versions that `prune` would remove, oldest first.

        Raises:
            RegistryError: The number is negative.
        """
        if keep < 0:
            raise RegistryError(f"keep must be 0 or more, got {keep}")
        versions = self.versions()
        kept = {*self.labels().values(), *versions[max(0, len(versions) - keep) :]}
        kept |= {before for label in LABELS if (before := self.before(label))}
        return [version for version in versions if version not in kept]

    def _move(self, label: str, version: int, action: str, reason: str) -> None:
        if label not in LABELS:
            raise RegistryError(f"label {label!r} is none of {', '.join(LABELS)}")
        if found := self.faults(version):
            raise RegistryError(
                f"version {version} is not as it was published ({'; '.join(found)}); "
                "publish it again"
            )
        before = self.labels().get(label)
        if before == version:
            return  # else a rollback would come back to it
        everything = self._all_labels()
        everything.setdefault(self.name, {})[label] = version
        write_json(self._labels_file, everything)
        self._render()
        self._record(
            action, version=version, label=label, replaces=before, reason=reason
        )

    def _render(self) -> None:
        """Makes `models.config` follow `labels.json`, which is the truth."""
        path = self.root / "models.config"
        if not (wanted := self.served()):
            return
        if not path.is_file() or path.read_text() != wanted:
            with replacing(path) as temporary:
                temporary.write_text(wanted)

    def served(self) -> str:
        """Renders TF Serving's `models.config` for all models of this root."""
        models = [
            Served(name, (self.root / name).resolve(), labels)
            for name, labels in sorted(self._all_labels().items())
        ]
        return render(models) if models else ""

    @property
    def _labels_file(self) -> Path:
        return self.root / "labels.json"

    def _all_labels(self) -> dict[str, dict[str, int]]:
        if not self._labels_file.is_file():
            return {}
        labels: dict[str, dict[str, int]] = json.loads(self._labels_file.read_text())
        return labels

    def _repair(self) -> None:
        """Makes good what a killed command left behind `labels.json`."""
        self._render()
        told = {entry["label"]: entry for entry in self.history() if "label" in entry}
        for label, version in self.labels().items():
            last = told.get(label, {"version": None, "replaces": None})
            if last["version"] != version:
                self._record(
                    "rollback" if last["replaces"] == version else "promote",
                    version=version,
                    label=label,
                    replaces=last["version"],
                    reason=_INTERRUPTED,
                )

    def _record(self, action: str, **what: Any) -> None:
        history.record(self.root, self.name, action, **what)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the registry's lock; it falls with the process that held it."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._repair()
            yield

    def workspace(self) -> contextlib.AbstractContextManager[Path]:
        """A folder beside the versions to prepare the next one in; removed after."""
        return workspace(self.root)


def models_config(
    registry: Registry, base: Path | None = None, version: int | None = None
) -> str:
    """Renders TF Serving's `models.config` of one model.

    Args:
        registry: Whose labels to serve.
        base: Where the server finds the model's folder, where that is elsewhere, as
            in a container.
        version: Serve this one alone, as `stable`: an image holds one version.

    Raises:
        RegistryError: Nothing is labelled, so nothing can be served.
    """
    labels = registry.labels()
    if version is not None:
        registry.folder_of(version)
        labels = {STABLE: version}
    if not labels:
        raise RegistryError(
            f"{registry.root} has no published {registry.name}; run `make publish`"
        )
    return render([Served(registry.name, base or registry.folder.resolve(), labels)])
