"""Makes a written SavedModel hang on what was exported alone: same run, same bytes.

TensorFlow numbers the functions of a graph by a counter of the process, so the same run
has other names after other work, and stamps a random number on each export.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2, saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

_NUMBERED: Final = re.compile(r"(.*[_-]|)(\d+)", re.DOTALL)
"""`__inference_slices_v1_3133`, `PartitionedCall-3128`, and `3137` for a variable."""

_GRADIENT: Final = "_gradient_op_type"
"""Attribute of a call that has a number of the counter, too."""

_ARGUMENT: Final = "_user_specified_name"
"""Attribute of an argument; the counter alone where it is a variable."""


def canonicalise(model: Path) -> None:
    """Rewrites `saved_model.pb` and `fingerprint.pb` of a SavedModel.

    Functions keep their order of creation, which their numbers tell, and lose the
    distance from the start of the process. Nothing that is computed changes.

    Args:
        model: The SavedModel's folder.
    """
    path = model / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in saved.meta_graphs:
        _renumber(graph)
    path.write_bytes(saved.SerializeToString(deterministic=True))
    _stamp(model)


def _renumber(graph: Any) -> None:
    """Numbers functions and calls from 0 on, in a `MetaGraphDef`, in place."""
    library = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(n for each in library for n in each.node_def)]
    told = [node.attr[_GRADIENT] for node in nodes if _GRADIENT in node.attr]
    for each in library:
        arguments = [a.attr for a in each.arg_attr.values() if _ARGUMENT in a.attr]
        told += [a[_ARGUMENT] for a in arguments if a[_ARGUMENT].s.isdigit()]
    numbered = {each.signature.name for each in library}
    new = _ranked(numbered | {value.s.decode() for value in told})
    for value in told:
        value.s = new[value.s.decode()].encode()
    for each in library:
        each.signature.name = new[each.signature.name]
    for node in nodes:
        node.op = new.get(node.op, node.op)
        for called in _functions(node.attr.values()):
            called.name = new.get(called.name, called.name)
    library.sort(key=lambda each: _number(each.signature.name))
    _rename_objects(graph.object_graph_def, new)


def _ranked(names: set[str]) -> dict[str, str]:
    """New names by the old ones: the same number where it was the same."""
    ranks = {
        number: rank for rank, number in enumerate(sorted(set(map(_number, names))))
    }
    return {
        name: _NUMBERED.sub(lambda found: f"{found[1]}{ranks[int(found[2])]}", name)
        for name in names
    }


def _number(name: str) -> int:
    """The number at the end of a name.

    Raises:
        ValueError: It has none: this TensorFlow names functions in another way.
    """
    found = _NUMBERED.fullmatch(name)
    if found is None:
        raise ValueError(
            f"function {name!r} of the graph has no number at its end, as those of "
            f"TensorFlow 2.20 have; this is {tf.__version__}, see requirements.lock"
        )
    return int(found[2])


def _functions(values: Iterable[Any]) -> Iterator[Any]:
    """The functions that attributes of a node name."""
    for value in values:
        if value.HasField("func"):
            yield value.func
        yield from value.list.func


def _rename_objects(objects: Any, new: dict[str, str]) -> None:
    """Renames functions in a `SavedObjectGraph`, in place."""
    before = type(objects)()
    before.CopyFrom(objects)
    objects.ClearField("concrete_functions")
    for name, each in before.concrete_functions.items():
        objects.concrete_functions[new[name]].CopyFrom(each)
    for node in objects.nodes:
        if node.HasField("function"):
            names = [new[name] for name in node.function.concrete_functions]
            node.function.concrete_functions[:] = names
        if node.HasField("bare_concrete_function"):
            bare = node.bare_concrete_function
            bare.concrete_function_name = new[bare.concrete_function_name]


def _stamp(model: Path) -> None:
    """Writes the fingerprint of what is there now, its number drawn from the rest."""
    fingerprinting_utils.write_fingerprint(str(model))
    path = model / "fingerprint.pb"
    stamp = fingerprint_pb2.FingerprintDef.FromString(path.read_bytes())
    stamp.ClearField("uuid")
    digest = hashlib.sha256(stamp.SerializeToString(deterministic=True)).digest()
    stamp.uuid = str(int.from_bytes(digest[:16]))
    path.write_bytes(stamp.SerializeToString(deterministic=True))
