"""Refuses an export that would serve wrong answers, or take the server down."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf

from mri_contrast.slices import SIZE
from pipeline.runs import Run
from pipeline.scoring import normalise
from serving.signatures import SLICES, named_outputs
from serving.warmup import ALLOWED_SIZES, example, png

TOLERANCE: Final = 1e-4
"""Largest difference of an output between the export and Keras."""

Call = Callable[[np.ndarray], dict[str, np.ndarray]]


class GateRefusedError(Exception):
    """The export must not be published; the message says why."""


def check(model: Path, run: Run) -> dict[str, Any]:
    """Checks a SavedModel in a TF1 Session, the way TF Serving loads it.

    Args:
        model: The SavedModel's folder.
        run: What it was exported from.

    Returns:
        The evidence, for the model card.

    Raises:
        GateRefusedError: An input is unguarded, an answer differs from Keras or from
            itself, or a wrong shape is not refused.
    """
    expected = _expected(run)
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(model))
        signatures = {
            name: definition
            for name, definition in meta.signature_def.items()
            if definition.inputs
        }
        # First, since a wrong shape into an unguarded convolution ends this process.
        for name, definition in signatures.items():
            _check_guarded(name, definition, meta.graph_def)
        calls = {
            name: _call(session, definition) for name, definition in signatures.items()
        }
        for name, call in calls.items():
            _check_repeatable(name, call)
        _check_wrong_shapes(calls[SLICES])
        difference = _check_against_keras(calls[SLICES], expected)
    return {
        "signatures": sorted(calls),
        "largest_difference_to_keras": difference,
        "tolerance": TOLERANCE,
    }


def _call(session: tf.compat.v1.Session, definition: Any) -> Call:
    (fed,) = definition.inputs.values()
    fetched = {alias: info.name for alias, info in definition.outputs.items()}

    def call(value: np.ndarray) -> dict[str, np.ndarray]:
        answer: dict[str, np.ndarray] = session.run(fetched, {fed.name: value})
        return answer

    return call


def sample(signature: str, count: int) -> np.ndarray:
    """Returns a reproducible valid input: uint8 slices or encoded noise."""
    slices = np.random.default_rng(count).integers(
        0, 256, (count, SIZE, SIZE), dtype=np.uint8
    )
    if signature == "encoded":
        return np.array([png(slice_) for slice_ in slices], object)
    if signature == "classify":
        examples = [example(png(slice_)).SerializeToString() for slice_ in slices]
        return np.array(examples, object)
    return slices


def _check_repeatable(name: str, call: Call) -> None:
    for count in (1, ALLOWED_SIZES[1]):
        value = sample(name, count)
        first, second = call(value), call(value)
        for output in first:
            if len(first[output]) != count:
                raise GateRefusedError(
                    f"{name} answers {count} inputs with {first[output].shape} "
                    f"{output}; every output needs one entry for each input"
                )
            if not np.array_equal(first[output], second[output]):
                raise GateRefusedError(
                    f"{name} answers the same input with different {output}; leave "
                    "random layers out of the network"
                )


def _check_wrong_shapes(call: Call) -> None:
    for shape in ((1, SIZE, SIZE, 1), (SIZE,), (1, SIZE - 1, SIZE)):
        try:
            call(np.zeros(shape, np.uint8))
        except (ValueError, tf.errors.InvalidArgumentError):
            continue
        raise GateRefusedError(f"{SLICES} accepts a tensor of shape {shape}")


def _expected(run: Run) -> dict[str, np.ndarray]:
    """Returns what the export should answer to `sample`: (n,) float32 by output."""
    pixels = normalise(tf.constant(sample(SLICES, ALLOWED_SIZES[1])))
    outputs = run.model.predict(pixels, verbose=0)
    tensors = {name: tf.constant(values) for name, values in outputs.items()}
    return {name: v.numpy() for name, v in named_outputs(run, tensors).items()}


def _check_against_keras(call: Call, expected: dict[str, np.ndarray]) -> float:
    answer = call(sample(SLICES, ALLOWED_SIZES[1]))
    missing = [name for name in expected if name not in answer]
    if missing:
        raise GateRefusedError(f"{SLICES} has no output {', '.join(missing)}")
    differences = {
        name: float(np.abs(answer[name] - values).max())
        for name, values in expected.items()
    }
    # NaN is below nothing: it must not hide behind a maximum.
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            raise GateRefusedError(
                f"{name} of {SLICES} differs from Keras by {difference:.2g}, allowed "
                f"is {TOLERANCE:g}; export again from the run's model.keras"
            )
    return max(differences.values())


def _check_guarded(name: str, definition: Any, graph: Any) -> None:
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
