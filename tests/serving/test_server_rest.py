import base64
import shutil

import httpx
import numpy as np
import pytest
import tensorflow as tf

from pipeline.contrasts import CLASSES
from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer

PREDICT = "/v1/models/mri_contrast:predict"


def test_rows_and_columns_give_the_networks_answer(serving, slices, expected):
    rows = serving.rest.post(PREDICT, json={"instances": slices.tolist()}).json()
    named = [[row[name] for name in CLASSES] for row in rows["predictions"]]
    np.testing.assert_allclose(named, expected, atol=1e-4)
    columns = serving.rest.post(
        PREDICT, json={"inputs": {"slices": slices.tolist()}}
    ).json()
    assert columns["outputs"]["T1"] == [row["T1"] for row in rows["predictions"]]


def test_a_single_output_goes_without_its_name(serving, slices):
    body = {"signature_name": "explain", "instances": slices[:1].tolist()}
    heat = serving.rest.post(PREDICT, json=body).json()["predictions"]
    assert np.shape(heat) == (1, 150, 150)


@pytest.mark.parametrize("way", ["/versions/1", "/labels/stable"])
def test_versions_and_labels_are_reached(serving, slices, way):
    url = f"/v1/models/mri_contrast{way}:predict"
    answer = serving.rest.post(url, json={"instances": slices[:1].tolist()})
    assert answer.status_code == 200


def test_images_travel_as_base64(serving, slices):
    png = base64.b64encode(tf.io.encode_png(slices[0][..., None]).numpy()).decode()
    body = {
        "signature_name": "encoded",
        "instances": [{"b64": png}, {"b64": png}, "no image"],
    }
    rows = serving.rest.post(PREDICT, json=body).json()["predictions"]
    assert [bool(row["error"]) for row in rows] == [False, False, True]
    assert rows[0]["T1"] == rows[1]["T1"]


def test_status_has_versions_as_strings(serving):
    versions = serving.rest.get("/v1/models/mri_contrast").json()
    assert versions["model_version_status"] == [
        {
            "version": version,
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        for version in ("2", "1")
    ]


def test_metadata_shows_the_input(serving):
    answer = serving.rest.get("/v1/models/mri_contrast/versions/1/metadata").json()
    assert answer["model_spec"]["version"] == "1"
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["slices_v1"]["inputs"]["slices"]["dtype"] == "DT_UINT8"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/v2/models/x", None, 404, "Not found: /v2/models/x"),
        ("GET", "/v1/nothing", None, 400, "Malformed request: GET /v1/nothing"),
        ("GET", PREDICT, None, 400, f"Malformed request: GET {PREDICT}"),
        ("GET", "/v1/models", None, 400, "Missing model name in request."),
        (
            "GET",
            "/v1/models/unknown",
            None,
            404,
            "Could not find any versions of model unknown",
        ),
        (
            "POST",
            "/v1/models/unknown:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Latest(unknown)",
        ),
        (
            "POST",
            "/v1/models/mri_contrast/labels/beta:predict",
            {"instances": [1]},
            400,
            "Unrecognized servable version label: beta",
        ),
        (
            "POST",
            PREDICT,
            {"instances": [1], "signature_name": "nope"},
            400,
            'Serving signature name: "nope" not found in signature def',
        ),
        ("POST", PREDICT, {"instances": [1], "inputs": [1]}, 400, "only one of"),
        ("POST", PREDICT, {}, 400, "Missing 'inputs' or"),
        ("POST", PREDICT, [], 400, "Is not object"),
        ("POST", PREDICT, {"instances": []}, 400, "No values in"),
        ("POST", PREDICT, {"instances": [[[1, 2], [3]]]}, 400, "unexpected size: 1"),
        ("POST", PREDICT, {"instances": [[[1]]]}, 400, "[1,1,1] is not compatible"),
        ("POST", PREDICT, {"instances": [[[1.5]]]}, 400, "type: uint8"),
        ("POST", PREDICT, {"instances": [[[256]]]}, 400, "type: uint8"),
        ("POST", PREDICT, {"instances": [{"x": 1}]}, 400, "named input: x"),
        (
            "POST",
            PREDICT,
            {"instances": [{"b64": "*"}], "signature_name": "encoded"},
            400,
            "base64 decode",
        ),
    ],
)
def test_wrong_requests_say_what_is_wrong(serving, method, path, body, status, text):
    answer = serving.rest.request(method, path, json=body)
    assert (answer.status_code, text in answer.json()["error"]) == (status, True)


def test_a_body_that_is_no_json_is_refused(serving):
    for content in (b"{", b"\xff\xfe", b"[" * 100_000):
        answer = serving.rest.post(PREDICT, content=content)
        assert answer.status_code == 400
        assert "JSON Parse error" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"signature_name": "encoded", "instances": ["\ud800"]}', "surrogate"),
        (
            rb'{"signature_name": "encoded", "instances": [{"b64": "\ud800"}]}',
            "base64 decode",
        ),
        (rb'{"signature_name": "\ud800", "instances": [1]}', "not found"),
        (rb'{"instances": [{"\ud800": 1}]}', "named input"),
        (rb'{"instances": ["\ud800"]}', "type: uint8"),
    ],
)
def test_half_a_surrogate_pair_is_refused(serving, body, text):
    answer = serving.rest.post(PREDICT, content=body)
    assert (answer.status_code, text in answer.json()["error"]) == (400, True)


def test_a_folder_whose_number_is_no_int64_leaves_the_status_alone(adders, tmp_path):
    shutil.copytree(adders / "1", tmp_path / "1")
    shutil.copytree(adders / "1", tmp_path / str(2**63))
    config = ServerConfig(
        port=None, rest_api_port=0, model_name="adder", model_base_path=tmp_path
    )
    with EmbeddedServer(config) as (_grpc, port):
        answer = httpx.get(f"http://127.0.0.1:{port}/v1/models/adder", timeout=60)
    assert answer.status_code == 200
    versions = answer.json()["model_version_status"]
    assert [each["version"] for each in versions] == ["1"]
