import sys
from pathlib import Path

import numpy as np
import pytest

from bench import asking, imports, servers
from bench.remote import PeerError
from bench.servers import Host, started

SLICES = np.zeros((2, 150, 150), np.uint8)
EXPECTED = np.array([[0, -1, -2, -3], [-4, -5, -6, -7]], np.float32)

ANSWERS = """
import base64, http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *arguments): pass
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert len(base64.b64decode(asked["slices"])) == 2 * 150 * 150
        body = json.dumps({"values": [[0, -1, -2, -3], [-4, -5, -6, -7]]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

address = ("127.0.0.1", int(sys.argv[1]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


def host(program: str) -> Host:
    return Host([sys.executable, "-c", program], ["plain"], asking.litserve)


def test_a_server_is_asked_once_it_says_what_the_model_says(tmp_path: Path) -> None:
    with started(host(ANSWERS), "plain", tmp_path, SLICES, EXPECTED) as running:
        said = running.form(running.port, SLICES).values()
        np.testing.assert_array_equal(said, EXPECTED)
        running.form(running.port, SLICES).connect()()
    with pytest.raises(OSError, match="refused"):
        running.form(running.port, SLICES).values()


def test_a_server_that_says_something_else_takes_no_part(tmp_path: Path) -> None:
    with (
        pytest.raises(PeerError, match="says something else"),
        started(host(ANSWERS), "plain", tmp_path, SLICES, EXPECTED + 1),
    ):
        pass


def test_the_last_words_of_a_server_that_ends_are_the_reason(tmp_path: Path) -> None:
    broken = host("raise ImportError('cannot load libexample')")
    with (
        pytest.raises(PeerError, match="ended: ImportError: cannot load libexample"),
        started(broken, "plain", tmp_path, SLICES, EXPECTED),
    ):
        pass


def test_an_environment_that_is_not_there_says_how_to_get_it(
    tmp_path: Path, nobody: Path
) -> None:
    for each in servers.peers(nobody).values():
        with (
            pytest.raises(PeerError, match="is missing: `make peers` builds it"),
            started(each, "batches", tmp_path, SLICES, EXPECTED),
        ):
            pass
    rows = imports.measure(nobody, 1)
    assert [row.id for row in rows] == ["client.import", "client.memory"]
    assert not any(row.ok for row in rows)
    assert "make peers" in rows[0].detail


def test_requests_of_the_two_protocols_carry_the_slices() -> None:
    sent = asking._kserve("ModelInferRequest")(model_name="m")
    sent.inputs.add(name="slices", datatype="BYTES", shape=[2])
    read = asking._kserve("ModelInferRequest").FromString(sent.SerializeToString())
    assert (read.inputs[0].name, list(read.inputs[0].shape)) == ("slices", [2])
