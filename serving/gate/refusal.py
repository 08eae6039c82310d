"""What the gate says where it refuses."""

from collections.abc import Mapping
from typing import Any


class GateRefusedError(Exception):
    """The export must not be published; the message says why.

    Attributes:
        evidence: What was found before and besides, for the history.
    """

    def __init__(self, reason: str, evidence: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        found = dict(evidence or {})
        found.setdefault("reasons", [reason])
        self.evidence: dict[str, Any] = {**found, "decision": "refused"}
