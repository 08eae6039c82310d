"""A SavedModel in a TF1 Session, the way TF Serving loads it."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from serving.gate.guards import check_guarded
from serving.gate.refusal import GateRefusedError
from serving.integrity import damage, is_sealed

Call = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """A loaded SavedModel.

    Attributes:
        calls: By signature: from its single input to its outputs by alias.
    """

    calls: dict[str, Call]


@contextlib.contextmanager
def opened(model: Path) -> Iterator[Opened]:
    """Loads a SavedModel whose files are whole and whose inputs are guarded.

    Raises:
        GateRefusedError: A file was damaged since it was written, it does not load, or
            an input does not have its shape checked.
    """
    if is_sealed(model) and (found := damage(model)):
        raise GateRefusedError(
            f"the export is damaged ({'; '.join(found)}); check the disk, export again"
        )
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        try:
            meta = tf.compat.v1.saved_model.load(session, ["serve"], str(model))
        except (
            *(tf.errors.OpError, DecodeError, OSError, RuntimeError, ValueError),
        ) as error:
            told = " ".join(str(error).split())[:300]
            raise GateRefusedError(f"the export does not load: {told}") from error
        signatures = {
            name: definition
            for name, definition in meta.signature_def.items()
            if definition.inputs
        }
        # First, since a wrong shape into an unguarded convolution ends this process.
        for name, definition in signatures.items():
            check_guarded(name, definition, meta.graph_def)
        yield Opened(
            {name: _call(session, one) for name, one in signatures.items()},
        )


def _call(session: tf.compat.v1.Session, definition: Any) -> Call:
    (fed,) = definition.inputs.values()
    fetched = {alias: info.name for alias, info in definition.outputs.items()}

    def call(value: np.ndarray) -> dict[str, np.ndarray]:
        answer: dict[str, np.ndarray] = session.run(fetched, {fed.name: value})
        return answer

    return call
