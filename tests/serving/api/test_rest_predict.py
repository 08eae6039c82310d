"""Predict over REST: forms of JSON, types, and what is refused."""

import json
import math

import pytest


def ask(zoo, model, body, verb="predict"):
    answer = zoo.rest.post(f"/v1/models/{model}:{verb}", content=json.dumps(body))
    return answer.status_code, answer.json()


def outcome(zoo, model, body):
    status, content = ask(zoo, model, body)
    assert status == 200, content
    return content


def test_the_example_of_tf_servings_documentation(zoo):
    expected = {"predictions": [2.5, 3.0, 4.5]}
    assert outcome(zoo, "half_plus_two", {"instances": [1.0, 2.0, 5.0]}) == expected


def test_rows_are_objects_where_there_are_several_inputs(zoo):
    body = {"instances": [{"a": 1, "b": 3}, {"b": 4, "a": 2.5}]}
    assert outcome(zoo, "sums", body) == {
        "predictions": [{"product": 3.0, "sum": 4.0}, {"product": 10.0, "sum": 6.5}]
    }


def test_columns_are_an_object_where_there_are_several_inputs(zoo):
    body = {"inputs": {"a": [1, 2.5], "b": [3, 4]}}
    assert outcome(zoo, "sums", body) == {
        "outputs": {"product": [3.0, 10.0], "sum": [4.0, 6.5]}
    }


@pytest.mark.parametrize("inputs", [{"a": [1]}, {"a": [1], "scale": 3}])
def test_an_input_with_a_default_may_be_left_out(zoo, inputs):
    body = {"signature_name": "scaled", "inputs": inputs}
    assert outcome(zoo, "sums", body) == {"outputs": [3.0]}


def test_strings_are_text_and_bytes_are_base64(zoo):
    body = {"instances": ["flair", {"b64": "dDE="}, {"b64": "dDE"}]}
    rows = outcome(zoo, "texts", body)["predictions"]
    assert [row["upper"] for row in rows] == ["FLAIR", "T1", "T1"]
    assert [row["same_bytes"] for row in rows] == [
        *({"b64": "ZmxhaXI="}, {"b64": "dDE="}, {"b64": "dDE="})
    ]


def test_a_single_string_is_a_column(zoo):
    body = {"signature_name": "string", "inputs": {"b64": "dDE="}}
    assert outcome(zoo, "types", body) == {"outputs": "t1"}


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", [0.2, -1e30, 3]),
        ("float64", [0.1, 1e300]),
        ("float32", 2.5),
        ("float32", [[], []]),
        ("float64", 2**80),
        ("int8", [-128, 127]),
        ("uint8", [[0], [255]]),
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint32", [2**32 - 1]),
        ("uint64", [1, 2**64 - 1]),
        ("bool", [True, False]),
        ("string", [["é", ""], ["\u0000", '"']]),
    ],
)
def test_values_come_back_as_they_were_sent(zoo, dtype, value):
    body = {"signature_name": dtype, "inputs": value}
    assert outcome(zoo, "types", body) == {"outputs": value}


def test_floats_have_no_more_digits_than_they_need(zoo):
    url = "/v1/models/types:predict"
    body = {"signature_name": "float32", "instances": [0.2, 1e-8]}
    assert zoo.rest.post(url, json=body).text == '{"predictions": [0.2, 1e-08]}'


def test_what_is_no_number_is_accepted_and_emitted(zoo):
    body = {
        "signature_name": "float32",
        "instances": [math.nan, math.inf, -math.inf, 1e39],
    }
    first, *others = outcome(zoo, "types", body)["predictions"]
    assert math.isnan(first)
    assert others == [math.inf, -math.inf, math.inf]


def test_rows_of_nothing_stay_rows(zoo):
    body = {"signature_name": "float32", "instances": [[], [], []]}
    assert outcome(zoo, "types", body) == {"predictions": [[], [], []]}


@pytest.mark.parametrize(
    ("model", "body", "text"),
    [
        ("types", {"inputs": 1, "instances": [1]}, "expecting only one of 'inputs' or"),
        ("half_plus_two", {}, "Missing 'inputs' or 'instances' key"),
        ("half_plus_two", [1], "JSON Value: [1] Is not object"),
        (
            "half_plus_two",
            {"instances": 1},
            "Expecting 'instances' to be an list/array",
        ),
        ("half_plus_two", {"instances": []}, "No values in 'instances' array"),
        ("half_plus_two", {"instances": [{"z": 1}]}, "does not have named input: z"),
        (
            "half_plus_two",
            {"instances": [1, {"x": 1}]},
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            "half_plus_two",
            {"instances": [{"x": 1}, 1]},
            "Expecting object but got list at item 1 of input list",
        ),
        ("half_plus_two", {"instances": ["x"]}, "Type: String is not of expected type"),
        ("half_plus_two", {"instances": [None]}, "JSON Value: null Type: Null is not"),
        (
            "half_plus_two",
            {"instances": [1], "signature_name": 5},
            "'signature_name' key must be a string value.",
        ),
        (
            "half_plus_two",
            {"instances": [1], "signature_name": "nope"},
            'Serving signature name: "nope" not found in signature def',
        ),
        (
            "sums",
            {"instances": [1]},
            "instances is a plain list, but expecting list",
        ),
        ("sums", {"inputs": [1]}, "inputs is a plain value/list, but expecting an"),
        ("sums", {"instances": [{"a": 1}]}, "keys must be equal to: a,b"),
        ("sums", {"inputs": {"a": [1]}}, "Missing named input: b in 'inputs' object."),
        (
            "sums",
            {"instances": [{"a": 1, "b": 2}, {"a": 1, "b": 1.5}]},
            "Failed to process element: 1 key: b of 'instances' list. Error: "
            "INVALID_ARGUMENT: JSON Value: 1.5 Type: Number is not of expected type: "
            "int32",
        ),
        (
            "sums",
            {"signature_name": "total", "instances": [1, 2]},
            "Tensor name: total has no shape information ",
        ),
        (
            "types",
            {"signature_name": "float32", "instances": [[1, 2], [1]]},
            "Expecting tensor size: 2 but got: 1",
        ),
        (
            "types",
            {"signature_name": "float32", "inputs": [[1, 2], [1]]},
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            "types",
            {"signature_name": "float32", "inputs": [[1, 2], 1]},
            "found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            "types",
            {"signature_name": "float32", "inputs": [1, [2]]},
            "Encountered list at unexpected level: 1 expected < 1",
        ),
        ("types", {"signature_name": "uint8", "inputs": [256]}, "expected type: uint8"),
        (
            "types",
            {"signature_name": "int64", "inputs": [2**63]},
            "expected type: int64",
        ),
        ("types", {"signature_name": "bool", "inputs": [1]}, "expected type: bool"),
        ("types", {"signature_name": "int32", "inputs": [True]}, "Type: True is not"),
        ("types", {"signature_name": "string", "inputs": [1]}, "expected type: string"),
        (
            "types",
            {"signature_name": "string", "inputs": [{"b64": "*"}]},
            "Unable to base64 decode",
        ),
        (
            "types",
            {"signature_name": "string", "inputs": [{"b64": 5}]},
            "not formatted correctly for base64 data",
        ),
    ],
)
def test_wrong_values_are_refused_with_their_place(zoo, model, body, text):
    status, content = ask(zoo, model, body)
    assert (status, text in content["error"]) == (400, True), content


def test_types_that_json_lacks_are_refused(zoo):
    body = {"signature_name": "float16", "instances": [1]}
    status, content = ask(zoo, "types", body)
    assert status == 501
    assert "Conversion of JSON Value: 1 to type: half" in content["error"]


def test_lists_nested_deeper_than_any_tensor_are_refused(zoo):
    nested = "[" * 500 + "1" + "]" * 500
    for signature in ("float32", "string"):
        answer = zoo.rest.post(
            "/v1/models/types:predict",
            content=f'{{"signature_name": "{signature}", "inputs": {nested}}}',
        )
        assert answer.status_code == 400
        assert "nested deeper than 64" in answer.json()["error"]


def test_a_refusal_repeats_the_beginning_of_a_value_only(zoo):
    _status, content = ask(zoo, "types", {"instances": [1], "inputs": ["x"] * 100_000})
    assert len(content["error"]) < 500
