"""JSON to the tf.Examples of classify and regress requests."""

from collections.abc import Mapping
from typing import Any, Final

import tensorflow as tf
from tensorflow_serving.apis import input_pb2

from serving.server.errors import invalid
from serving.server.rest_json import (
    decode_base64,
    encode_text,
    format_error,
    is_base64,
    type_name,
)

_KINDS: Final = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}
_INT64: Final = range(-(2**63), 2**63)


def read_examples(body: Mapping[str, Any], method: str) -> Any:
    """Reads the `Input` of a classify or regress request.

    Args:
        body: The JSON object: `examples` and, shared by all of them, `context`.
        method: `classify` or `regress`, for the refusal.

    Raises:
        ServingError: There are no examples, or a feature is of no kind.
    """
    given = input_pb2.Input()
    examples = given.example_list.examples
    if "context" in body:
        _fill(given.example_list_with_context.context, body["context"])
        examples = given.example_list_with_context.examples
    if "examples" not in body:
        raise format_error(
            body,
            f"When method is {method}, key 'examples' is expected and was not found",
        )
    if not isinstance(body["examples"], list):
        raise format_error(body, "Expecting 'examples' value to be an list/array")
    if not body["examples"]:
        raise format_error(body, "'examples' value is an empty array")
    for each in body["examples"]:
        _fill(examples.add(), each)
    return given


def _fill(example: tf.train.Example, content: Any) -> None:
    if not isinstance(content, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(content)}")
    for name, values in content.items():
        encode_text(name)  # refuses what no proto takes
        feature = example.features.feature[name]
        for value in values if isinstance(values, list) else [values]:
            _add(name, feature, value)


def _add(name: str, feature: tf.train.Feature, value: Any) -> None:
    """Adds a value; the first one decides what kind of feature it is."""
    kind, content = _kind(name, value)
    before = feature.WhichOneof("kind")
    if before not in (None, kind):
        raise invalid(
            f"Unexpected element type in feature: {name} expecting type: "
            f"{_KINDS[before]}"
        )
    getattr(feature, kind).value.append(content)


def _kind(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, str):
        return "bytes_list", encode_text(value)
    if is_base64(value):
        return "bytes_list", decode_base64(value)
    if isinstance(value, float):
        return "float_list", value
    if isinstance(value, int):  # booleans too
        if value not in _INT64:
            raise invalid(
                f"Feature: {name} has uint64_t element. Only int64_t is supported."
            )
        return "int64_list", int(value)
    raise invalid(
        f"Feature: {name} has element with unexpected JSON type: {type_name(value)}"
    )
