"""TLS and mutual TLS."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest

from tests.serving.conformance import ask
from tests.serving.conformance.ask import floats
from tests.serving.conformance.process import unlimited

row = pytest.mark.row

pytestmark = pytest.mark.skipif(
    not shutil.which("openssl"), reason="openssl is not installed"
)


class Authority:
    """Signs certificates that are valid for a day."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key, self._certificate = folder / "ca.key", folder / "ca.pem"
        self._openssl(
            *("req", "-x509", "-subj", "/CN=conformance"),
            *("-keyout", self._key, "-out", self._certificate),
        )

    def _openssl(self, *words: object) -> None:
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        subprocess.run(
            ["openssl", *map(str, words), *new, "-days", "1"],
            check=True,
            capture_output=True,
        )

    @property
    def certificate(self) -> bytes:
        return self._certificate.read_bytes()

    def pair(self, name: str) -> tuple[bytes, bytes]:
        """A key and a certificate, made out to localhost."""
        key, certificate = self._folder / f"{name}.key", self._folder / f"{name}.pem"
        self._openssl(
            *("req", "-x509", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-CA", self._certificate, "-CAkey", self._key),
            *("-keyout", key, "-out", certificate),
        )
        return key.read_bytes(), certificate.read_bytes()


def ssl_config(path: Path, **given: bytes | bool) -> Path:
    fields = (
        f"{name}: {json.dumps(value.decode() if isinstance(value, bytes) else value)}"
        for name, value in given.items()
    )
    path.write_text("\n".join(fields))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder / "ours")


def start(launcher, library, config: Path, credentials):
    return launcher.start(
        f"--model_base_path={library / 'number'}",
        "--model_name=number",
        f"--ssl_config_file={config}",
        credentials=credentials,
    )


@pytest.fixture(scope="module")
def encrypted(launcher, library, folder, authority):
    key, certificate = authority.pair("server")
    config = ssl_config(folder / "ssl.config", server_key=key, server_cert=certificate)
    credentials = grpc.ssl_channel_credentials(authority.certificate)
    return start(launcher, library, config, credentials)


@pytest.fixture(scope="module")
def mutual(launcher, library, folder, authority):
    key, certificate = authority.pair("strict")
    config = ssl_config(
        folder / "mutual.config",
        server_key=key,
        server_cert=certificate,
        custom_ca=authority.certificate,
        client_verify=True,
    )
    credentials = grpc.ssl_channel_credentials(
        authority.certificate, *authority.pair("client")
    )
    return start(launcher, library, config, credentials)


@contextlib.contextmanager
def asking(server, credentials: grpc.ChannelCredentials | None):
    """A Predict call by a client with other credentials than the server's own."""
    with unlimited(f"localhost:{server.port}", credentials) as channel:
        path = "/tensorflow.serving.PredictionService/Predict"
        call = channel.unary_unary(path)
        request = ask.predict("number", x=floats(0)).SerializeToString()
        yield lambda: call(request, timeout=30)


def refused(server, credentials: grpc.ChannelCredentials | None) -> bool:
    with asking(server, credentials) as call:
        with pytest.raises(grpc.RpcError) as caught:
            call()
        return caught.value.code() is grpc.StatusCode.UNAVAILABLE


@row("transport.tls")
def test_a_client_that_trusts_the_authority_is_answered(encrypted):
    assert ask.answer(encrypted, "number", x=floats(0)) == [3]


@row("transport.tls-only")
def test_a_plain_client_is_refused(encrypted):
    assert refused(encrypted, None)


@row("transport.tls-rest")
def test_rest_stays_plain(encrypted):
    got = encrypted.rest.post("/v1/models/number:predict", json={"instances": [0.0]})
    assert got.json() == {"predictions": [3]}


@row("transport.mutual")
def test_a_client_that_shows_a_certificate_is_answered(mutual):
    assert ask.answer(mutual, "number", x=floats(0)) == [3]


@row("transport.mutual-none")
def test_a_client_that_shows_none_is_refused(mutual, authority):
    assert mutual.running()
    assert refused(mutual, grpc.ssl_channel_credentials(authority.certificate))


@row("transport.mutual-other")
def test_a_certificate_of_another_authority_is_refused(mutual, authority, folder):
    stranger = Authority(folder / "theirs").pair("client")
    credentials = grpc.ssl_channel_credentials(authority.certificate, *stranger)
    assert refused(mutual, credentials)
