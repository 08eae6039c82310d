"""Classify: Examples in, classes with scores out.

Any signature from `inputs` to `classes`, `scores` or both will do, as in TF Serving
with its default `--enable_signature_method_name_check=false`.
"""

from collections.abc import Mapping
from typing import Any, Final

from tensorflow_serving.apis import classification_pb2

from serving.server import examples, model_spec
from serving.server.errors import invalid
from serving.server.manager import Models
from serving.server.session import LoadedModel, Signature
from serving.server.tensors import Array, shown_shape, type_name

CLASSES: Final = "classes"
SCORES: Final = "scores"


def classify(models: Models, request: classification_pb2.ClassificationRequest) -> Any:
    """Answers a ClassificationRequest.

    Raises:
        ServingError: With TF Serving's code and text.
    """
    return run_classify(*model_spec.find(models, request), request)


def run_classify(
    model: LoadedModel,
    version: int,
    request: classification_pb2.ClassificationRequest,
) -> Any:
    """Answers a ClassificationRequest by a certain version."""
    signature = examples.default_signature(model, request.model_spec.signature_name)
    aliases = outputs(signature)
    tensor = examples.to_tensor(request.input)
    arrays = model.run(signature, {examples.INPUTS: tensor}, aliases)
    columns = dict(zip(aliases, arrays, strict=True))
    response = classification_pb2.ClassificationResponse()
    model_spec.fill(response, request.model_spec, version, signature.name)
    fill_result(response.result, columns, len(tensor))
    return response


def outputs(signature: Signature) -> list[str]:
    """Returns which of `classes` and `scores` a signature gives.

    Raises:
        ServingError: It is no classifier.
    """
    examples.require_input(signature, "classification")
    if len(signature.outputs) not in (1, 2):
        raise invalid(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    found = [alias for alias in (CLASSES, SCORES) if alias in signature.outputs]
    if not found:
        raise invalid(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was: {signature.definition}'
        )
    return found


def fill_result(result: Any, columns: Mapping[str, Array], count: int) -> None:
    """Writes a ClassificationResult.

    Args:
        result: An empty one.
        columns: `classes` (bytes), `scores` (float32) or both, each
            (examples, classes).
        count: How many Examples were sent.

    Raises:
        ServingError: The model's outputs have another shape or type.
    """
    for alias, wanted in ((CLASSES, "DT_STRING"), (SCORES, "DT_FLOAT")):
        if alias in columns:
            _check(alias, columns[alias], wanted, count)
    sides = [array.shape[1] for array in columns.values()]
    if len(set(sides)) > 1:
        raise invalid(
            "Tensors class and score should match in dim_size(1). Got "
            f"{sides[0]} vs. {sides[1]}"
        )
    labels, scores = columns.get(CLASSES), columns.get(SCORES)
    for row in range(count):
        classes = result.classifications.add().classes
        for column in range(sides[0]):
            each = classes.add()
            if labels is not None:
                # The field is text: what is none must not end the call.
                each.label = labels[row, column].decode(errors="replace")
            if scores is not None:
                each.score = scores[row, column]


def _check(alias: str, array: Array, wanted: str, count: int) -> None:
    if array.ndim != 2:
        raise invalid(
            "Expected Tensor shape: [batch_size num_classes] but got "
            f"{shown_shape(array.shape)}"
        )
    if type_name(array) != wanted:
        raise invalid(f"Expected {alias} Tensor of {wanted}. Got: {type_name(array)}")
    if len(array) != count:
        raise invalid(
            f"Expected {alias} output batch size of {count}. Got: {len(array)}"
        )
