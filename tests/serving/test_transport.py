"""TLS, Unix socket, channel arguments: what the server listens on, and to whom."""

import contextlib
import shutil
import socket
import subprocess
import types

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer
from serving.server.flags import parse
from serving.server.transport import server_options


def adding(count=1):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones(count, np.float32)))
    return request


def answer(channel, count=1):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    response = stub.Predict(adding(count), timeout=30, wait_for_ready=True)
    return response.outputs["y"].float_val


@contextlib.contextmanager
def started(adders, **given):
    settings = {"model_base_path": adders, "port": 0, "rest_api_port": None}
    server = EmbeddedServer(ServerConfig(**settings | given))
    with server as (port, _rest):
        yield port


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Keys and certificates of an authority, a server and a client, by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("keys")

    def openssl(*arguments):
        subprocess.run(
            ["openssl", *arguments], cwd=folder, check=True, capture_output=True
        )

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca", "-subj", "/CN=ca")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    for name in ("server", "client"):
        made = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("req", *new, *made, "-subj", f"/CN={name}")
        signed = ("-CA", "ca", "-CAkey", "ca.key", "-CAcreateserial", "-out", name)
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-extfile", "names")
    names = ("ca", "server", "client", "server.key", "client.key")
    return types.SimpleNamespace(
        **{name.replace(".", "_"): (folder / name).read_bytes() for name in names}
    )


def ssl_config(path, keys, **given):
    fields = {"server_key": keys.server_key, "server_cert": keys.server, **given}
    lines = [
        f"{name}: {str(value).lower() if value is True else ascii(value.decode())}"
        for name, value in fields.items()
    ]
    path.write_text("\n".join(lines))
    return path


def test_tls_proves_who_the_server_is(adders, keys, tmp_path):
    config = ssl_config(tmp_path / "ssl", keys)
    trust = grpc.ssl_channel_credentials(keys.ca)
    with (
        started(adders, ssl_config_file=config) as port,
        grpc.secure_channel(f"localhost:{port}", trust) as channel,
        grpc.insecure_channel(f"localhost:{port}") as plain,
    ):
        assert answer(channel) == [4]
        stub = prediction_service_pb2_grpc.PredictionServiceStub(plain)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(adding(), timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_mutual_tls_answers_only_those_with_a_certificate(adders, keys, tmp_path):
    config = ssl_config(tmp_path / "ssl", keys, custom_ca=keys.ca, client_verify=True)
    known = grpc.ssl_channel_credentials(keys.ca, keys.client_key, keys.client)
    stranger = grpc.ssl_channel_credentials(keys.ca)
    with (
        started(adders, ssl_config_file=config) as port,
        grpc.secure_channel(f"localhost:{port}", known) as channel,
        grpc.secure_channel(f"localhost:{port}", stranger) as refused,
    ):
        assert answer(channel) == [4]
        stub = prediction_service_pb2_grpc.PredictionServiceStub(refused)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(adding(), timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_rest_says_that_it_stays_plain_beside_tls(adders, keys, tmp_path, caplog):
    config = ssl_config(tmp_path / "ssl", keys)
    with started(adders, ssl_config_file=config, rest_api_port=0):
        assert "REST stays plain text" in caplog.text


def test_a_key_that_is_none_is_refused(adders, keys, tmp_path):
    config = ssl_config(
        tmp_path / "ssl", keys, server_key=b"-----BEGIN EC PRIVATE KEY-----"
    )
    with (
        pytest.raises(OSError, match="key and certificate"),
        started(adders, ssl_config_file=config),
    ):
        pass


def test_a_unix_socket_answers_without_any_port(adders, tmp_path):
    path = tmp_path / "grpc.sock"
    with (
        started(adders, port=None, grpc_socket_path=path) as port,
        grpc.insecure_channel(f"unix:{path}") as channel,
    ):
        assert port == 0
        assert answer(channel) == [4]


def test_a_socket_on_which_somebody_listens_is_left_to_them(adders, tmp_path):
    path = tmp_path / "grpc.sock"
    with (
        started(adders, port=None, grpc_socket_path=path),
        grpc.insecure_channel(f"unix:{path}") as channel,
    ):
        with (
            pytest.raises(OSError, match="is taken"),
            started(adders, port=None, grpc_socket_path=path),
        ):
            pass
        assert answer(channel) == [4]


def test_a_socket_that_was_left_behind_is_taken_over(adders, tmp_path):
    path = tmp_path / "grpc.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with (
        started(adders, port=None, grpc_socket_path=path),
        grpc.insecure_channel(f"unix:{path}") as channel,
    ):
        assert answer(channel) == [4]


def test_messages_of_any_size_are_taken_and_sent(adders):
    count = 2**21  # 8 MiB, twice what gRPC allows by default
    options = [("grpc.max_receive_message_length", -1)]
    with (
        started(adders) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel,
    ):
        assert len(answer(channel, count)) == count


def test_channel_arguments_can_limit_messages(adders):
    limit = "grpc.max_receive_message_length=1000"
    with (
        started(adders, grpc_channel_arguments=limit) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        assert answer(channel) == [4]
        with pytest.raises(grpc.RpcError) as caught:
            answer(channel, 1000)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_channel_arguments_are_numbers_where_they_look_like_it():
    given = "grpc.keepalive_time_ms=5000,grpc.max_send_message_length=7,name=text=x"
    options = dict(
        server_options(ServerConfig(model_base_path="x", grpc_channel_arguments=given))
    )
    assert options["grpc.keepalive_time_ms"] == 5000
    assert options["grpc.max_send_message_length"] == 7
    assert options["name"] == "text=x"
    with pytest.raises(ValueError, match="must be name=value"):
        ServerConfig(model_base_path="x", grpc_channel_arguments="nonsense")


@pytest.mark.parametrize(
    ("arguments", "is_open"),
    [
        ([], False),
        (["--host=localhost"], False),
        (["--host=127.8.8.8"], False),
        (["--host=::1"], False),
        (["--host=0.0.0.0"], True),
        (["--host=::"], True),
        (["--host=192.168.1.1"], True),
        (["--host=scanner.example"], True),
        (["--host=0.0.0.0", "--port=0", "--rest_api_port=0"], False),
    ],
)
def test_a_server_is_open_to_others_where_its_host_is_not_loopback(arguments, is_open):
    config = parse(["--model_base_path=x", "--grpc_socket_path=s", *arguments])
    assert config.open_to_others is is_open
