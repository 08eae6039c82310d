"""REST: forms of requests and answers."""

import base64
import gzip
import json
import math

import pytest

row = pytest.mark.row


def post(server, model, body, verb="predict", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.rest.post(f"/v1/models/{model}:{verb}", content=content, **headers)


def answered(server, model, body, verb="predict"):
    got = post(server, model, body, verb)
    assert got.status_code == 200, got.text
    return got.json()


def refused(server, model, body, verb="predict"):
    got = post(server, model, body, verb)
    assert got.status_code == 400, got.text
    return got.json()["error"]


@row("rest.row")
def test_instances_give_predictions(plain):
    body = {"instances": [1.0, 2.0, 5.0]}
    assert answered(plain, "half_plus_two", body) == {"predictions": [2.5, 3, 4.5]}


@row("rest.row-named")
def test_an_instance_may_name_its_only_input(plain):
    body = {"instances": [{"x": 1.0}, {"x": 2.0}]}
    assert answered(plain, "half_plus_two", body) == {"predictions": [2.5, 3]}


@row("rest.row-several", "rest.outputs-row")
def test_several_inputs_and_outputs_in_row_form(plain):
    body = {"instances": [{"a": 1.5, "b": 2}, {"a": 2, "b": 3}]}
    assert answered(plain, "mixed", body)["predictions"] == [
        {"sum": 3.5, "product": 3},
        {"sum": 5, "product": 6},
    ]


@row("rest.row-keys")
@pytest.mark.parametrize(
    "instances",
    [
        [{"a": 1.0}],
        [{"a": 1.0, "b": 2, "c": 3}],
        [{"a": 1.0, "b": 2}, {"a": 1.0}],
        [{"a": 1.0, "c": 2}],
        [1.0],
    ],
)
def test_the_keys_of_an_instance_must_equal_the_inputs(plain, instances):
    assert refused(plain, "mixed", {"instances": instances})


@row("rest.row-unequal")
def test_instances_of_unequal_shapes_are_refused(plain):
    assert refused(plain, "half_plus_two", {"instances": [[1.0], [1.0, 2.0]]})


@row("rest.row-empty")
@pytest.mark.parametrize("instances", [[], 5, "text", None])
def test_no_list_of_instances_is_refused(plain, instances):
    assert refused(plain, "half_plus_two", {"instances": instances})


@row("rest.column")
def test_inputs_give_outputs(plain):
    for inputs in ([1.0, 2.0], {"x": [1.0, 2.0]}):
        assert answered(plain, "half_plus_two", {"inputs": inputs}) == {
            "outputs": [2.5, 3]
        }


@row("rest.column-several", "rest.outputs-column")
def test_several_inputs_and_outputs_in_column_form(plain):
    body = {"inputs": {"a": [1.5, 2], "b": [2, 3]}}
    outputs = answered(plain, "mixed", body)["outputs"]
    assert outputs == {"sum": [3.5, 5], "product": [3, 6]}


@row("rest.both-keys")
def test_both_keys_are_refused(plain):
    assert refused(plain, "half_plus_two", {"instances": [1.0], "inputs": [1.0]})


@row("rest.no-key")
def test_neither_key_is_refused(plain):
    assert refused(plain, "half_plus_two", {"signature_name": "serving_default"})


@row("rest.signature")
def test_signature_name_chooses_the_signature(plain):
    body = {"signature_name": "int64", "instances": [7]}
    assert answered(plain, "echo", body) == {"predictions": [7]}
    body["signature_name"] = "nobody"
    assert "nobody" in refused(plain, "echo", body)


@row("rest.signature-kind")
def test_a_signature_name_that_is_no_string_is_refused(plain):
    assert refused(plain, "echo", {"signature_name": 5, "instances": [7]})


@row("rest.strings")
def test_strings_go_in_and_come_out(plain):
    body = {"instances": ["one", "zwölf", "日本"]}
    expected = {"predictions": ["one!", "zwölf!", "日本!"]}
    assert answered(plain, "text", body) == expected


def b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


@row("rest.base64")
def test_a_string_may_come_as_base64(plain):
    expected = {"predictions": ["one!", "two!"]}
    assert answered(plain, "text", {"instances": [b64(b"one"), "two"]}) == expected
    named = {"instances": [{"s": b64(b"one")}, {"s": b64(b"two")}]}
    assert answered(plain, "text", named) == expected
    columns = {"inputs": {"s": [b64(b"one"), b64(b"two")]}}
    assert answered(plain, "text", columns) == {"outputs": ["one!", "two!"]}


@row("rest.base64-damaged")
def test_damaged_base64_is_refused(plain):
    assert refused(plain, "text", {"instances": [{"b64": "!!! no base64 !!!"}]})


@row("rest.bytes-out")
def test_an_output_of_bytes_comes_as_base64(plain):
    body = {"signature_name": "bytes", "instances": [b64(b"\x00\xff")]}
    assert answered(plain, "text", body) == {"predictions": [b64(b"\x00\xff!")]}


@row("rest.nan")
def test_nan_and_infinities_go_in_and_come_out(plain):
    body = b'{"instances": [NaN, Infinity, -Infinity, 2.0]}'
    got = answered(plain, "half_plus_two", body)["predictions"]
    assert math.isnan(got[0])
    assert got[1:] == [math.inf, -math.inf, 3]


@row("rest.fraction")
def test_a_fraction_for_an_integer_is_refused(plain):
    assert refused(plain, "echo", {"signature_name": "int32", "instances": [1.5]})


@row("rest.integer")
def test_an_integer_for_a_float_is_taken(plain):
    assert answered(plain, "half_plus_two", {"instances": [2]})["predictions"] == [3]


@row("rest.boolean")
def test_booleans_are_for_booleans_alone(plain):
    body = {"signature_name": "bool", "instances": [True, False]}
    assert answered(plain, "echo", body) == {"predictions": [True, False]}
    assert refused(plain, "echo", {**body, "instances": [1]})
    assert refused(plain, "half_plus_two", {"instances": [True]})


@row("rest.int64")
def test_integers_keep_all_digits(plain):
    values = [2**63 - 1, -(2**63), 9007199254740993]
    body = {"signature_name": "int64", "instances": values}
    assert answered(plain, "echo", body) == {"predictions": values}
    body["instances"] = [2**63]
    assert refused(plain, "echo", body)


@row("rest.precision")
def test_a_float_comes_in_the_digits_that_tell_it_apart(plain):
    body = {"signature_name": "float32", "instances": [0.2, 16777216.0]}
    got = post(plain, "echo", body)
    assert got.json()["predictions"] == [0.2, 16777216.0]
    assert "0.20000000298" not in got.text


@row("rest.classify")
def test_classify_answers_pairs(plain):
    body = {"signature_name": "classify_named", "examples": [{"x": 2.0}, {"x": 4.0}]}
    got = answered(plain, "half_plus_two", body, "classify")
    assert got == {"results": [[["only", 3.0]], [["only", 4.0]]]}


@row("rest.classify-context")
def test_classify_merges_the_context(plain):
    body = {
        "signature_name": "classify",
        "context": {"x": 6.0},
        "examples": [{"z": 1.0}, {"z": "text"}],
    }
    got = answered(plain, "half_plus_two", body, "classify")
    assert got == {"results": [[["", 5.0]], [["", 5.0]]]}


@row("rest.regress")
def test_regress_answers_values(plain):
    body = {"signature_name": "regress", "examples": [{"x": 2.0}, {"x": [4.0]}]}
    assert answered(plain, "half_plus_two", body, "regress") == {"results": [3.0, 4.0]}


@row("rest.version")
def test_a_path_may_name_the_version(plain):
    body = {"instances": [0.0]}
    assert answered(plain, "number/versions/2", body) == {"predictions": [2]}
    assert answered(plain, "number", body) == {"predictions": [3]}
    got = post(plain, "number/versions/77", body)
    text = "Servable not found for request: Specific(number, 77)"
    assert (got.status_code, got.json()["error"]) == (404, text)


@row("rest.unknown-label")
def test_a_path_with_an_unassigned_label_is_refused(plain):
    text = "Unrecognized servable version label: nobody"
    assert refused(plain, "number/labels/nobody", {"instances": [0.0]}) == text


@row("rest.verb-case")
def test_verbs_are_taken_in_any_case(plain):
    got = answered(plain, "half_plus_two", {"instances": [2.0]}, "PREDICT")
    assert got == {"predictions": [3]}


@row("rest.encoded-name")
def test_names_are_url_decoded(plain):
    got = answered(plain, "half%5Fplus%5Ftwo", {"instances": [2.0]})
    assert got == {"predictions": [3]}


STATUS_OK = {"error_code": "OK", "error_message": ""}


@row("rest.status")
def test_status_lists_versions(plain):
    got = plain.rest.get("/v1/models/number").json()
    assert got == {
        "model_version_status": [
            {"version": version, "state": "AVAILABLE", "status": STATUS_OK}
            for version in ("3", "2", "1")
        ]
    }


@row("rest.status-version")
def test_status_of_one_version(plain):
    (only,) = plain.rest.get("/v1/models/number/versions/2").json()[
        "model_version_status"
    ]
    assert only["version"] == "2"
    assert plain.rest.get("/v1/models/number/versions/77").status_code == 404


@row("rest.metadata")
def test_metadata_shows_signatures(plain):
    got = plain.rest.get("/v1/models/half_plus_two/metadata").json()
    spec = got["model_spec"]
    assert (spec["name"], spec["version"]) == ("half_plus_two", "1")
    assert spec["signature_name"] == ""
    x = got["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    assert x["x"]["dtype"] == "DT_FLOAT"
    assert x["x"]["name"] == "x:0"
    shape = x["x"]["tensor_shape"]
    assert shape == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


@row("rest.metadata-version")
def test_metadata_of_one_version(plain):
    got = plain.rest.get("/v1/models/number/versions/2/metadata").json()
    assert got["model_spec"]["version"] == "2"
    assert plain.rest.get("/v1/models/number/versions/77/metadata").status_code == 404


@row("rest.no-name")
def test_a_path_without_name_is_refused(plain):
    got = plain.rest.get("/v1/models")
    assert got.status_code == 400
    assert got.json()["error"] == "Missing model name in request."


@row("rest.malformed")
@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/models/number/nothing", "/v1/models/number/versions/x"]
)
def test_a_path_that_matches_nothing_is_refused(plain, path):
    got = plain.rest.get(path)
    assert got.status_code == 400
    assert got.json()["error"] == f"Malformed request: GET {path}"


@row("rest.method")
def test_a_method_that_does_not_fit_is_refused(plain):
    path = "/v1/models/half_plus_two:predict"
    got = plain.rest.get(path)
    assert got.status_code == 400
    assert got.json()["error"] == f"Malformed request: GET {path}"


@row("rest.elsewhere")
def test_a_path_elsewhere_is_not_found(plain):
    assert plain.rest.get("/").status_code == 404
    assert plain.rest.get("/v2/models/half_plus_two").status_code == 404


@row("rest.no-json")
@pytest.mark.parametrize(
    "body", [b"{", b"{'instances': [1]}", b'{"instances": [1.0,]}', b"\xff\xfe"]
)
def test_a_body_that_is_no_json_is_refused(plain, body):
    assert refused(plain, "half_plus_two", body).startswith("JSON Parse error")


@row("rest.empty-body")
def test_an_empty_body_is_refused(plain):
    assert refused(plain, "half_plus_two", b"").startswith("JSON Parse error")


@row("rest.no-object")
def test_a_body_that_is_no_object_is_refused(plain):
    assert refused(plain, "half_plus_two", [1.0])


@row("rest.content-type")
def test_answers_are_json(plain):
    for got in (
        post(plain, "half_plus_two", {"instances": [1.0]}),
        post(plain, "nobody", {"instances": [1.0]}),
        plain.rest.get("/v1/models/number"),
    ):
        assert got.headers["content-type"].startswith("application/json")


GZIP = {"content-encoding": "gzip"}


@row("rest.gzip")
def test_a_gzip_body_is_read(plain):
    body = gzip.compress(b'{"instances": [2.0]}')
    got = post(plain, "half_plus_two", body, headers=GZIP)
    assert got.json() == {"predictions": [3]}


@row("rest.gzip-damaged")
def test_a_damaged_gzip_body_is_refused(plain):
    got = post(plain, "half_plus_two", b"this is not compressed", headers=GZIP)
    assert 400 <= got.status_code < 500
    assert answered(plain, "half_plus_two", {"instances": [2.0]})


@row("rest.cors-off")
def test_no_cors_headers_by_default(plain):
    got = post(
        plain,
        "half_plus_two",
        {"instances": [2.0]},
        headers={"origin": "http://example.org"},
    )
    assert "access-control-allow-origin" not in got.headers


@row("rest.large")
def test_a_body_of_several_mebibytes_is_taken(plain):
    body = {"instances": [1.5] * 1_200_000}
    got = answered(plain, "half_plus_two", body)["predictions"]
    assert (len(got), got[-1]) == (1_200_000, 2.75)


@row("metrics.off")
def test_no_metrics_without_a_config(plain):
    got = plain.rest.get("/monitoring/prometheus/metrics")
    assert got.status_code in (400, 404)
