"""Whether every input of a graph has its shape checked before anything else sees it."""

from typing import Any

from serving.gate.refusal import GateRefusedError


def check_guarded(name: str, definition: Any, graph: Any) -> None:
    """Checks that the inputs of a signature pass `tf.ensure_shape` first.

    Args:
        name: Of the signature.
        definition: Its SignatureDef.
        graph: The GraphDef with its functions.

    Raises:
        GateRefusedError: One does not: a tensor of the wrong rank into a convolution
            ends the whole serving process.
    """
    functions = {
        function.signature.name: function for function in graph.library.function
    }
    nodes = {node.name: node for node in graph.node}
    for alias, info in definition.inputs.items():
        source = info.name.split(":")[0]
        users = [node for node in nodes.values() if source in _inputs(node)]
        if not users or not all(
            _guards(user, _inputs(user).index(source), functions) for user in users
        ):
            raise GateRefusedError(
                f"input {alias} of {name} does not pass tf.ensure_shape first, so a "
                "wrong shape could end the serving process"
            )


def _guards(node: Any, position: int, functions: dict[str, Any]) -> bool:
    """Whether a node checks its input's shape before anything else sees it."""
    if node.op == "EnsureShape":
        return True
    called = functions.get(node.attr["f"].func.name)
    if called is None:
        return False
    argument = called.signature.input_arg[position].name
    users = [inner for inner in called.node_def if argument in _inputs(inner)]
    return bool(users) and all(
        _guards(user, _inputs(user).index(argument), functions) for user in users
    )


def _inputs(node: Any) -> list[str]:
    return [name.lstrip("^").split(":")[0] for name in node.input]
