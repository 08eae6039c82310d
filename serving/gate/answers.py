"""Whether an export answers as its run does, twice alike, and refuses wrong shapes."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf

from mri_contrast.slices import SIZE
from pipeline.runs import Run
from pipeline.scoring import normalise
from serving.gate import warm_up
from serving.gate.refusal import GateRefusedError
from serving.gate.session import Call, opened
from serving.signatures import SLICES, named_outputs
from serving.warmup import ALLOWED_SIZES, example, png

TOLERANCE: Final = 1e-4
"""Largest difference of an output between the export and Keras."""


def check(model: Path, run: Run) -> dict[str, Any]:
    """Checks a SavedModel in a TF1 Session, the way TF Serving loads it.

    Args:
        model: The SavedModel's folder.
        run: What it was exported from.

    Returns:
        The evidence, for the model card.

    Raises:
        GateRefusedError: A file is damaged, an input is unguarded, an answer differs
            from Keras or from itself, a wrong shape is not refused, or a warm-up
            request fails.
    """
    expected = _expected(run)
    with opened(model) as export:
        for name, call in export.calls.items():
            _check_repeatable(name, call)
        _check_wrong_shapes(export.calls[SLICES])
        difference = _check_against_keras(export.calls[SLICES], expected)
        requests = warm_up.requests(model)
        warm_up.replay(requests, export.calls)
    return {
        "signatures": sorted(export.calls),
        "largest_difference_to_keras": difference,
        "tolerance": TOLERANCE,
        "warm_up_requests": len(requests),
    }


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
    found = {name: v.numpy() for name, v in named_outputs(run, tensors).items()}
    constants = {"rho": run.calibration.rho, "accept": run.calibration.accept}
    return found | {
        f"aux_{name}": np.full(len(pixels), value, np.float32)
        for name, value in constants.items()
    }


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
