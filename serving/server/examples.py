"""`Input`: the tf.Examples of Classify, Regress and MultiInference as one tensor."""

from typing import Any, Final

import numpy as np

from serving.server.errors import invalid
from serving.server.session import DEFAULT_SIGNATURE, LoadedModel, Signature
from serving.server.tensors import Array

INPUTS: Final = "inputs"
"""The only input of a signature that takes Examples."""


def to_tensor(given: Any) -> Array:
    """Serialises the Examples of an `Input`; each takes up the shared context.

    Returns:
        (examples,) bytes.

    Raises:
        ServingError: There are no Examples.
    """
    kind = given.WhichOneof("kind")
    examples = list(getattr(given, kind).examples) if kind else []
    if not examples:
        raise invalid("Input is empty.")
    context = b""
    if kind == "example_list_with_context":
        context = given.example_list_with_context.context.SerializeToString()
    # Messages one after the other are read as merged: an Example's own features win.
    return np.array([context + each.SerializeToString() for each in examples], object)


def default_signature(model: LoadedModel, asked: str) -> Signature:
    """Returns the signature of this name, the default one for an empty name.

    Raises:
        ServingError: There is none.
    """
    signature = model.signature(asked)
    if signature is None:
        raise invalid(
            f"No signature was found with the name: {asked or DEFAULT_SIGNATURE}"
        )
    return signature


def require_input(signature: Signature, kind: str) -> None:
    """Checks that a signature takes Examples and nothing else.

    Args:
        signature: What should run.
        kind: What for, as the refusal says it: `classification` or `regression`.

    Raises:
        ServingError: It takes something else.
    """
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid(f"No {kind} inputs found in SignatureDef: {signature.definition}")
