"""The state of one version of a model, as GetModelStatus tells it."""

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tensorflow_serving.apis import get_model_status_pb2

from serving.server.errors import ServingError
from serving.server.session import LoadedModel

State: Final = get_model_status_pb2.ModelVersionStatus


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """One version.

    Attributes:
        number: The version.
        state: A `ModelVersionStatus.State`.
        base_path: Where it lay when it was loaded.
        model: What is loaded, while it is AVAILABLE.
        error: Why it could not be loaded.
        retries: How often it is tried again.
        retry_at: When, in `time.monotonic` seconds; never if infinite.
    """

    number: int
    state: int
    base_path: Path
    model: LoadedModel | None = None
    error: ServingError | None = None
    retries: int = 0
    retry_at: float = math.inf


def to_proto(version: Version) -> Any:
    """Returns a version's state as GetModelStatus sends it."""
    status = State(version=version.number, state=version.state)
    if version.error is not None:
        status.status.error_code = version.error.code.value[0]
        status.status.error_message = version.error.text
    else:
        status.status.error_code = 0
    return status


def why_unavailable(name: str, versions: Iterable[Version]) -> str:
    """Returns why no version of a model answers, as TF Serving's refusals say it."""
    reasons = [
        f"{{{{name: {name} version: {each.number}}} due to error: "
        f"{each.error.code.name}: {each.error.text}}}"
        for each in versions
        if each.error
    ]
    return ", ".join(reasons) or f"{{{{name: {name}}}}}"
