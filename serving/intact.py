"""Keeps a server from loading a version whose files are not those published."""

from pathlib import Path

import grpc

from serving.integrity import damage, is_sealed
from serving.server.errors import ServingError


def intact(version: Path) -> Path:
    """Returns a version's folder, checked where it has digests.

    Args:
        version: Folder of a SavedModel; any that is not of our registry has none.

    Raises:
        ServingError: A file is damaged, missing, or was never published.
    """
    if is_sealed(version) and (found := damage(version)):
        raise ServingError(
            grpc.StatusCode.DATA_LOSS,
            f"version {version.name} is not as it was published: {'; '.join(found)}",
        )
    return version
