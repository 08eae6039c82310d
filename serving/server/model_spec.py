"""ModelSpec: which model a request names, and who answered it."""

from typing import Any

from serving.server.errors import invalid
from serving.server.manager import Models
from serving.server.session import LoadedModel


def find(models: Models, request: Any) -> tuple[LoadedModel, int]:
    """Returns the loaded model that a request names, and its version.

    Args:
        models: Where to look.
        request: Any request that has a `model_spec`.

    Raises:
        ServingError: It names none, or one that is not there.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return models.find(request.model_spec)


def fill(answer: Any, asked: Any, version: int, signature: str) -> None:
    """Writes who answered into the `model_spec` of an answer.

    Args:
        answer: Any answer that has a `model_spec`.
        asked: The ModelSpec of the request.
        version: That answered, also where a label was asked for.
        signature: That answered, also where the request left it to the default.
    """
    answer.model_spec.name = asked.name
    answer.model_spec.version.value = version
    answer.model_spec.signature_name = signature
