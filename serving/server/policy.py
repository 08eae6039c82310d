"""Which versions of a model are wanted: what is on disk, and the version policies."""

import dataclasses
import re
from collections.abc import Set
from pathlib import Path
from typing import Any, Final

from serving.versions import VERSION_LIMIT

_VERSION: Final = re.compile(r"\+?[0-9]+", re.ASCII)
"""What TF Serving's `SimpleAtoi` reads; negative versions are in no message of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Latest:
    """The newest versions, that many of them."""

    count: int = 1

    def choose(self, found: Set[int]) -> set[int]:
        """Returns the versions wanted among those on disk."""
        return set(sorted(found)[-self.count :])


@dataclasses.dataclass(frozen=True, slots=True)
class All:
    """Every version."""

    def choose(self, found: Set[int]) -> set[int]:
        """Returns the versions wanted among those on disk."""
        return set(found)


@dataclasses.dataclass(frozen=True, slots=True)
class Specific:
    """These versions and no others; none where they are not on disk."""

    versions: frozenset[int]

    def choose(self, found: Set[int]) -> set[int]:
        """Returns the versions wanted among those on disk."""
        return set(found & self.versions)


Policy = Latest | All | Specific

NEWEST: Final = Latest()
"""What TF Serving does by default."""


def policy_of(proto: Any) -> Policy:
    """Returns the policy of a `ServableVersionPolicy`; newest by default."""
    choice = proto.WhichOneof("policy_choice")
    if choice == "all":
        return All()
    if choice == "specific":
        return Specific(frozenset(proto.specific.versions))
    return Latest(proto.latest.num_versions or 1)


def version_folders(base_path: Path) -> dict[int, Path]:
    """Returns the versions on disk: every child whose name is a number, `007` too.

    Of several that mean the same number the last by name is taken.
    """
    if not base_path.is_dir():
        return {}
    return {
        int(child.name): child
        for child in sorted(base_path.iterdir())
        if _VERSION.fullmatch(child.name) and int(child.name) < VERSION_LIMIT
    }
