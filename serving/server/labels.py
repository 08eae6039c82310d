"""Version labels: when one may move to another version."""

import logging
from collections.abc import Container, Mapping

import grpc

from serving.server.errors import ServingError

_log = logging.getLogger(__name__)


def require_available(
    model: str,
    wanted: Mapping[str, int],
    before: Mapping[str, int],
    available: Container[int],
    allow_unavailable: bool,
) -> None:
    """Checks that labels name versions that can answer, as a reload by RPC must.

    Args:
        model: Name of the model.
        wanted: Version by label as it shall be.
        before: Version by label as it is.
        available: Versions that can answer.
        allow_unavailable: Whether a label that is new, or stays where it is, may name
            a version that cannot; one that moves never may.

    Raises:
        ServingError: One names a version that cannot answer.
    """
    for label, version in wanted.items():
        stays = before.get(label, version) == version
        if version not in available and not (allow_unavailable and stays):
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"Request to assign label to version {version} of model {model}, which "
                "is not currently available for inference",
            )


def held_back(
    model: str,
    wanted: Mapping[str, int],
    before: Mapping[str, int],
    known: Container[int],
    available: Container[int],
) -> dict[str, int]:
    """Returns the labels that stay where they are, since the new version did not load.

    Args:
        model: Name of the model.
        wanted: Version by label as it shall be.
        before: Version by label as it is.
        known: Versions ever seen.
        available: Versions that can answer.
    """
    kept: dict[str, int] = {}
    for label, version in wanted.items():
        old = before.get(label)
        if old is None or old not in known or version in available:
            continue
        kept[label] = old
        _log.error(
            "label %s of %s stays at version %d: version %d is not available",
            *(label, model, old, version),
        )
    return kept
