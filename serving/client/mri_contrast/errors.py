"""What can go wrong, one class for each thing the caller may do about it."""

from __future__ import annotations

__all__ = [
    "ClientTooOld",
    "DeadlineExceeded",
    "ModelNotFound",
    "MriContrastError",
    "RejectedByServer",
    "ServerUnavailable",
    "UnreadableScan",
]


class MriContrastError(Exception):
    """Base of every error this package raises on purpose.

    No message holds a path, a file name or text from a scan's header, so that
    messages may be logged.
    """


class UnreadableScan(MriContrastError, ValueError):  # noqa: N818 - says what happened
    """The scan cannot be read or used; another server would not help."""


class ServerUnavailable(MriContrastError):  # noqa: N818 - says what happened
    """Nothing answers at the target, or it is too busy; a retry may help."""


class DeadlineExceeded(MriContrastError):  # noqa: N818 - says what happened
    """The server did not answer in time; a retry may help."""


class ModelNotFound(MriContrastError):  # noqa: N818 - says what happened
    """The server runs, but serves no such model, version or label."""


class ClientTooOld(MriContrastError):  # noqa: N818 - says what happened
    """The served model does not offer the signature this client speaks."""


class RejectedByServer(MriContrastError):  # noqa: N818 - says what happened
    """The server refused the request, or its answer makes no sense."""
