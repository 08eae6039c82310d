"""HTTP around the REST API: paths, gzip, CORS."""

import contextlib
import gzip
import json
import socket
import zlib

import httpx
import pytest

from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer
from serving.server.rest_encoding import MOST_BYTES

PREDICT = "/v1/models/half_plus_two:predict"
BODY = json.dumps({"instances": [1.0] * 1000}).encode()


def test_a_gzipped_body_is_read(zoo):
    answer = zoo.rest.post(
        PREDICT, content=gzip.compress(BODY), headers={"Content-Encoding": "gzip"}
    )
    assert answer.json()["predictions"] == [2.5] * 1000


def test_answers_are_gzipped_for_those_who_accept_it(zoo):
    for accepted, encoding in (
        ("gzip, deflate", "gzip"),
        ("gzip;q=0", None),
        ("identity", None),
    ):
        answer = zoo.rest.post(
            PREDICT, content=BODY, headers={"Accept-Encoding": accepted}
        )
        assert answer.headers.get("Content-Encoding") == encoding
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.json()["predictions"] == [2.5] * 1000


def test_a_short_answer_is_sent_as_it_is(zoo):
    answer = zoo.rest.post(PREDICT, json={"instances": [1.0]})
    assert "Content-Encoding" not in answer.headers


def test_a_decompression_bomb_is_refused(zoo):
    bomb = zlib.compressobj(9, wbits=31)
    packed = b"".join(bomb.compress(bytes(2**20)) for _ in range(MOST_BYTES // 2**20))
    packed += bomb.compress(b"1") + bomb.flush()
    assert len(packed) < 200_000
    answer = zoo.rest.post(
        PREDICT, content=packed, headers={"Content-Encoding": "gzip"}
    )
    assert answer.status_code == 413
    assert "unzipped" in answer.json()["error"]


def test_a_body_without_end_is_refused_before_it_is_kept(zoo):
    sent = 0

    def endless():
        nonlocal sent
        while True:
            sent += 2**20
            yield bytes(2**20)

    with contextlib.suppress(httpx.TransportError):  # the server may have hung up
        answer = zoo.rest.post(PREDICT, content=endless())
        assert answer.status_code == 413
        assert f"larger than {MOST_BYTES} bytes" in answer.json()["error"]
    assert sent < 2 * MOST_BYTES


def test_a_body_that_does_not_come_ends_at_the_time_limit(serve, adders):
    running = serve(model_base_path=adders, rest_api_timeout_in_ms=300)
    host, port = running.rest.base_url.host, running.rest.base_url.port
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/models/default:predict HTTP/1.1\r\nHost: here\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        (b"no gzip", "gzip", "the body is no gzip"),
        (gzip.compress(BODY)[:-9], "gzip", "the body is no gzip"),
        (BODY, "br", "encoded by gzip alone"),
        (b"", "", "The document is empty"),
    ],
    ids=["no gzip", "cut off", "brotli", "empty"],
)
def test_a_body_of_another_encoding_is_refused(zoo, content, encoding, text):
    answer = zoo.rest.post(
        PREDICT, content=content, headers={"Content-Encoding": encoding}
    )
    assert (answer.status_code, text in answer.json()["error"]) == (400, True)


def test_pages_of_other_sites_may_ask_where_cors_is_on(zoo):
    headers = {"Origin": "https://example.org"}
    preflight = zoo.rest.options(PREDICT, headers=headers)
    asked = zoo.rest.post(PREDICT, json={"instances": [1.0]}, headers=headers)
    for answer in (preflight, asked):
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "POST, GET"
        assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    missing = zoo.rest.options(PREDICT)
    assert missing.status_code == 400
    assert "Origin header is missing" in missing.json()["error"]


def test_pages_of_other_sites_may_not_ask_by_default(adders):
    config = ServerConfig(
        port=None, rest_api_port=0, model_name="adder", model_base_path=adders
    )
    with EmbeddedServer(config) as (_grpc, port):
        answer = httpx.get(
            f"http://127.0.0.1:{port}/v1/models/adder",
            headers={"Origin": "https://example.org"},
            timeout=60,
        )
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_names_are_decoded(zoo):
    answer = zoo.rest.get("/v1/models/half%5Fplus%5Ftwo")
    assert answer.status_code == 200
    slash = zoo.rest.get("/v1/models/half%2Fplus%3Atwo")
    assert slash.json()["error"] == "Could not find any versions of model half/plus:two"
    label = zoo.rest.post(
        "/v1/models/half_plus_two/labels/a%20b:predict", json={"instances": [1]}
    )
    assert label.json()["error"] == "Unrecognized servable version label: a b"


def test_verbs_are_written_in_any_case(zoo):
    answer = zoo.rest.post(
        "/V1/Models/half_plus_two/Versions/123:PREDICT", json={"instances": [1]}
    )
    assert answer.json() == {"predictions": [2.5]}


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("PUT", PREDICT, 400, f"Malformed request: PUT {PREDICT}"),
        ("DELETE", "/v1/models/x", 400, "Malformed request: DELETE /v1/models/x"),
        ("POST", "/v1/models/x:explain", 400, "Malformed request: POST"),
        ("POST", "/v1/models/x/versions/1/labels/a:predict", 400, "Malformed request"),
        ("GET", "/v1/models/x/versions/one", 400, "Malformed request"),
        ("GET", "/v1/models/versions/1", 400, "Missing model name in request."),
        (
            "GET",
            f"/v1/models/x/versions/{2**63}",
            400,
            f"Failed to convert version: {2**63} to numeric.",
        ),
        (
            "GET",
            "/v1/models/half_plus_two/versions/5",
            404,
            "Could not find version 5 of model half_plus_two",
        ),
        ("GET", "/", 404, "Not found"),
    ],
)
def test_malformed_requests_are_refused(zoo, method, path, status, text):
    answer = zoo.rest.request(method, path)
    assert (answer.status_code, text in answer.json()["error"]) == (status, True)


def test_head_has_no_body(zoo):
    answer = zoo.rest.head("/v1/models/half_plus_two")
    assert (answer.status_code, answer.content) == (200, b"")
