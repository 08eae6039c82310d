"""Classify and regress over REST."""

import pytest


def ask(zoo, verb, body):
    answer = zoo.rest.post(f"/v1/models/half_plus_two:{verb}", json=body)
    return answer.status_code, answer.json()


def test_classify_gives_pairs_of_label_and_score(zoo):
    body = {"signature_name": "classify", "examples": [{"x": 2.0}, {"x": [0.4]}]}
    assert ask(zoo, "classify", body) == (
        200,
        {"results": [[["y", 3.0], ["-y", -3.0]], [["y", 2.2], ["-y", -2.2]]]},
    )


def test_regress_gives_numbers(zoo):
    body = {"signature_name": "regress", "examples": [{"x": 2.0}, {"x": 4.0}]}
    assert ask(zoo, "regress", body) == (200, {"results": [3.0, 4.0]})


def test_the_context_is_shared(zoo):
    body = {
        "signature_name": "regress",
        "context": {"x": 2.0},
        "examples": [{}, {"x": 4.0}],
    }
    assert ask(zoo, "regress", body) == (200, {"results": [3.0, 4.0]})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "key 'examples' is expected and was not found"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"x": None}]}, "element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"y": 1}}]}, "element with unexpected JSON type: Object"),
        ({"examples": [{"x": [1.0, 1]}]}, "feature: x expecting type: float"),
        ({"examples": [{"x": 2**63}]}, "Only int64_t is supported."),
        ({"examples": [{"x": {"b64": "*"}}]}, "Unable to base64 decode"),
        ({"examples": [{"x": "text"}]}, "x"),  # the graph wants a float
        ({"examples": [{"x": 1.0}], "signature_name": "nope"}, "with the name: nope"),
    ],
)
@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_wrong_examples_are_refused(zoo, verb, body, text):
    status, content = ask(zoo, verb, {"signature_name": verb, **body})
    assert (status, text in content["error"]) == (400, True), content


def test_features_may_be_bytes_and_whole_numbers(zoo):
    # The graph wants a float, so it names the kind that arrived.
    for value, kind in (({"b64": "dDE="}, "string"), (True, "int64"), (7, "int64")):
        body = {"signature_name": "regress", "examples": [{"x": value}]}
        status, content = ask(zoo, "regress", body)
        assert (status, kind in content["error"]) == (400, True), content
