"""What a SavedModel takes and gives, and whether callers of another one can use it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

Interface = dict[str, dict[str, dict[str, str]]]
"""Signature to `inputs` and `outputs`, these from alias to `float32 [?,150,150]`."""


def interface_of(model: Path) -> Interface:
    """Reads the signatures that take something.

    Args:
        model: Folder of a SavedModel that loads.
    """
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((model / "saved_model.pb").read_bytes())
    return {
        name: {
            "inputs": _described(definition.inputs),
            "outputs": _described(definition.outputs),
        }
        for name, definition in sorted(saved.meta_graphs[0].signature_def.items())
        if definition.inputs
    }


def incompatible(new: Interface, old: Interface) -> list[str]:
    """Returns what a caller of the old model would miss, a sentence each.

    More signatures and outputs are no harm; more inputs would be.
    """
    found = []
    for name, signature in old.items():
        if name not in new:
            found.append(f"signature {name} is missing")
            continue
        taken, given = new[name]["inputs"], new[name]["outputs"]
        if taken != signature["inputs"]:
            found.append(
                f"{name} takes {_told(taken)}, stable takes "
                f"{_told(signature['inputs'])}"
            )
        for alias, kind in signature["outputs"].items():
            if alias not in given:
                found.append(f"output {alias} of {name} is missing")
            elif given[alias] != kind:
                found.append(
                    f"output {alias} of {name} is {given[alias]}, of stable {kind}"
                )
    return found


def _described(infos: Mapping[str, Any]) -> dict[str, str]:
    return {alias: _kind(infos[alias]) for alias in sorted(infos)}


def _kind(info: Any) -> str:
    dtype = tf.as_dtype(info.dtype).name
    if info.tensor_shape.unknown_rank:
        return f"{dtype} of any shape"
    sides = ("?" if side.size < 0 else str(side.size) for side in info.tensor_shape.dim)
    return f"{dtype} [{','.join(sides)}]"


def _told(tensors: Mapping[str, str]) -> str:
    return ", ".join(f"{alias} {kind}" for alias, kind in tensors.items())
