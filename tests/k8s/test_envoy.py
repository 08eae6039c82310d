"""Envoy with our configuration, before embedded servers: TLS, allow-list, shares."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from k8s import render
from mri_contrast import Client, Tls, Transport
from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer
from serving.versions import NAME
from tests.k8s.conftest import Needed

COMPONENTS = render.K8S / "serving/components"
RELEASED = render.K8S.parent / "serving/released" / NAME / "1"
WHERE = "python3.11 -m venv FOLDER && FOLDER/bin/pip install -r .ci/manifests.lock"
SERVER_NAME = "mri-serving-front"


@dataclass(frozen=True)
class Front:
    """A running Envoy."""

    folder: Path
    port: int
    metrics: int

    def credentials(self, *, certificate: bool = True) -> grpc.ChannelCredentials:
        ca = (self.folder / "ca.crt").read_bytes()
        if not certificate:
            return grpc.ssl_channel_credentials(ca)
        key, chain = self.folder / "client.key", self.folder / "client.crt"
        return grpc.ssl_channel_credentials(ca, key.read_bytes(), chain.read_bytes())

    def channel(self, *, certificate: bool = True) -> grpc.Channel:
        return grpc.secure_channel(
            f"127.0.0.1:{self.port}",
            self.credentials(certificate=certificate),
            options=[("grpc.ssl_target_name_override", SERVER_NAME)],
        )

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        tls = Tls(
            self.folder / "ca.crt",
            self.folder / "client.crt",
            self.folder / "client.key",
            SERVER_NAME,
        )
        transport = Transport(tls=tls)
        with Client(f"127.0.0.1:{self.port}", timeout=60, transport=transport) as each:
            yield each

    def serial(self) -> str:
        """Of the certificate that is shown now."""
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        context.load_cert_chain(self.folder / "client.crt", self.folder / "client.key")
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=SERVER_NAME) as wrapped,
        ):
            shown = wrapped.getpeercert()
        assert shown is not None
        return str(shown["serialNumber"])


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def authority(folder: Path) -> None:
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
        *("-subj", "/CN=authority", "-keyout", folder / "ca.key"),
        *("-out", folder / "ca.crt"),
    )


def certificate(folder: Path, name: str, subject: str) -> None:
    key, asked = folder / f"{name}.key", folder / f"{name}.csr"
    openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}"),
        *("-addext", f"subjectAltName=DNS:{subject}", "-keyout", key, "-out", asked),
    )
    openssl(
        *("x509", "-req", "-in", asked, "-CA", folder / "ca.crt", "-days", "30"),
        *("-CAkey", folder / "ca.key", "-CAcreateserial", "-copy_extensions", "copy"),
        *("-out", folder / f"{name}.crt"),
    )


def mount(folder: Path, into: Path, stamp: str) -> None:
    """Puts a Secret in place as the kubelet does: files behind a link that moves."""
    content = into / f"..{stamp}"
    content.mkdir(parents=True)
    for source, name in (("server.crt", "tls.crt"), ("server.key", "tls.key")):
        shutil.copy(folder / source, content / name)
    shutil.copy(folder / "ca.crt", content / "ca.crt")
    (into / "..new").symlink_to(content.name)
    (into / "..new").rename(into / "..data")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        if not (into / name).is_symlink():
            (into / name).symlink_to(f"..data/{name}")


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Ports of a stable server with version 1 and of a canary with version 2."""
    folder = tmp_path_factory.mktemp("models")
    with contextlib.ExitStack() as stack:
        ports = []
        for version in (1, 2):
            shutil.copytree(RELEASED, folder / str(version) / str(version))
            config = ServerConfig(
                port=0,
                rest_api_port=None,
                model_base_path=folder / str(version),
                model_name=NAME,
                enable_model_warmup=False,
            )
            ports.append(stack.enter_context(EmbeddedServer(config))[0])
        yield ports[0], ports[1]


@pytest.fixture(scope="module")
def front(
    servers: tuple[int, int], needed: Needed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    envoy = needed("envoy", WHERE)
    needed("openssl", "apt-get install openssl")
    folder = tmp_path_factory.mktemp("front")
    authority(folder)
    certificate(folder, "server", SERVER_NAME)
    certificate(folder, "client", "platform")
    mount(folder, folder / "tls", "first")
    (folder / "routes").mkdir()
    shutil.copy(COMPONENTS / "envoy/routes.yaml", folder / "routes")
    found = Front(folder, free(), free())
    places = {
        "/etc/envoy-routes": str(folder / "routes"),
        "/etc/envoy-tls": str(folder / "tls"),
        "/etc/envoy": str(folder),
        "port_value: 8443": f"port_value: {found.port}",
        "port_value: 8002": f"port_value: {found.metrics}",
        "port_value: 9901": f"port_value: {free()}",
        "0.0.0.0": "127.0.0.1",
    }
    for port, name in zip(servers, ("mri-serving", "mri-serving-canary"), strict=True):
        inside = f"address: {name}.mri-contrast.svc.cluster.local, port_value: 8500"
        places[inside] = f"address: 127.0.0.1, port_value: {port}"
    for name in ("envoy", "server", "clients"):
        text = (COMPONENTS / f"envoy/{name}.yaml").read_text()
        for before, after in places.items():
            text = text.replace(before, after)
        (folder / f"{name}.yaml").write_text(text)
    command = [envoy, "-c", str(folder / "envoy.yaml"), "--concurrency", "1"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--use-dynamic-base-id"], stdout=log, stderr=log
        )
    try:
        until(lambda: ready(found), process)
        yield found
    finally:
        process.terminate()
        process.wait(30)


def ready(front: Front) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{front.metrics}/ready").status_code == 200
    return False


def until(
    done: Callable[[], bool], process: subprocess.Popen[bytes] | None = None
) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        assert process is None or process.poll() is None
        time.sleep(0.1)


def versions(client: Client, calls: int) -> list[int]:
    return [client.model_status()[0].version for _ in range(calls)]


def test_the_client_gets_its_verdict_by_mutual_tls(front: Front):
    scan = np.random.default_rng(0).integers(0, 255, (150, 150), np.uint8)
    with front.client() as client:
        assert client.identify(scan).model_version == 1


def test_without_a_certificate_nothing_is_answered(front: Front):
    with front.channel(certificate=False) as channel:
        call = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    "method",
    [
        "tensorflow.serving.ModelService/HandleReloadConfigRequest",
        "tensorflow.ProfilerService/Profile",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "tensorflow.serving.SessionService/SessionRun",
    ],
)
def test_what_is_not_listed_reaches_no_server(front: Front, method: str):
    with front.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{method}")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_health_is_told(front: Front):
    with front.channel() as channel:
        answer = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10)
    assert answer == b"\x08\x01"  # SERVING


def test_a_canary_gets_its_share_while_envoy_runs_and_none_before(front: Front):
    with front.client() as client:
        assert set(versions(client, 60)) == {1}
        put(front, "canary-envoy")
        until(lambda: 2 in versions(client, 20))
        shares = versions(client, 400)
        # Of 400 calls by 5 in 100: outside of these once in ten million runs.
        assert 2 <= shares.count(2) <= 50
        put(front, "envoy")
        until(lambda: set(versions(client, 100)) == {1})


def put(front: Front, component: str) -> None:
    new = front.folder / "routes.new"
    shutil.copy(COMPONENTS / component / "routes.yaml", new)
    new.rename(front.folder / "routes/routes.yaml")


def test_a_new_certificate_is_shown_without_a_restart(front: Front):
    before = front.serial()
    with front.client() as client:
        assert versions(client, 1) == [1]
        certificate(front.folder, "server", SERVER_NAME)
        mount(front.folder, front.folder / "tls", "second")
        until(lambda: front.serial() != before)
        # The connection of before goes on.
        assert versions(client, 1) == [1]


def test_metrics_are_shown_and_nothing_else_of_the_admin(front: Front):
    where = f"http://127.0.0.1:{front.metrics}"
    page = httpx.get(f"{where}/stats/prometheus").text
    assert "\nenvoy_server_days_until_first_cert_expiring{} 29\n" in page
    assert httpx.post(f"{where}/quitquitquit").status_code == 404
    assert httpx.get(f"{where}/config_dump").status_code == 404
