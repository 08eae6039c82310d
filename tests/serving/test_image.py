"""The image of a version: what it is made from, who builds it, and what is in it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.command import run_command
from serving.image import DIGEST, ImageConfig, build_image, digest_of, prepare
from serving.registry import NAME, Registry, RegistryError

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"weights"}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """With versions 1 and 2."""
    registry = Registry(tmp_path / "models")
    for number in (b"1", b"2"):
        with registry.workspace() as workspace:
            for name, content in FILES.items():
                path = workspace / "model" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content + number)
            registry.publish(workspace / "model")
    return registry


def config(registry: Registry, **given: object) -> ImageConfig:
    out = registry.root.parent / "image"
    return ImageConfig(version=2, root=registry.root, out=out, **given)  # type: ignore[arg-type]


def test_everything_that_the_dockerfile_copies_is_laid_out_and_nothing_else(
    registry: Registry, tmp_path: Path
) -> None:
    context = prepare(registry, 2, tmp_path / "context")
    text = (context / "serving/container/Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+)", text.replace("${VERSION}", "2"), re.MULTILINE)
    found = {path for path in context.rglob("*") if path.is_file()}
    wanted = {context / "serving/container/Dockerfile"}
    for name in copied:
        path = context / name
        wanted |= {path} if path.is_file() else {*path.rglob("*.*")}
    assert copied
    assert found == wanted
    assert (
        context / "models" / NAME / "2" / "saved_model.pb"
    ).read_bytes() == b"graph2"
    served = (context / "build/image/models.config").read_text()
    assert f'base_path: "/models/{NAME}"' in served
    assert "versions: 2" in served


def test_what_another_version_left_is_gone(registry: Registry, tmp_path: Path) -> None:
    prepare(registry, 1, tmp_path / "context")
    context = prepare(registry, 2, tmp_path / "context")
    assert [path.name for path in (context / "models" / NAME).iterdir()] == ["2"]


def test_the_server_s_user_may_read_it_whatever_the_umask(
    registry: Registry, tmp_path: Path
) -> None:
    (registry.folder / "2" / "saved_model.pb").chmod(0o600)
    context = prepare(registry, 2, tmp_path / "context")
    for path in context.rglob("*"):
        assert path.stat().st_mode & (0o005 if path.is_dir() else 0o004), path


def test_the_digest_is_the_shell_s_and_changes_with_any_file(
    registry: Registry,
) -> None:
    model = registry.folder / "2"
    command = "find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    said = subprocess.run(
        ["sh", "-c", command], cwd=model, capture_output=True, text=True, check=True
    )
    assert digest_of(model) == said.stdout.split()[0]
    before = digest_of(model)
    (model / "variables/variables.index").write_bytes(b"weights3")
    assert digest_of(model) != before


def test_a_version_that_is_not_published_is_named(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"no version 3; published: \[1, 2\]"):
        prepare(registry, 3, registry.root / "context")


def tools(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> Path:
    """Makes these the only programs that are found; they note how they are called."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/{name}.log\n{script}\n'
        )
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_without_a_builder_it_is_said_what_is_missing_and_how_to_go_on(
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tools(
        tmp_path / "bin",
        monkeypatch,
        docker="echo Cannot connect to the Docker daemon >&2; exit 1",
    )
    words = ["--version", "2", "--root", str(registry.root)]
    words += ["--out", str(tmp_path / "image")]
    code = run_command(ImageConfig, build_image, prog="image", arguments=words)
    told = capsys.readouterr().err
    assert code == 2
    assert "docker does not work: Cannot connect to the Docker daemon" in told
    assert "podman is not installed; buildah is not installed" in told
    assert "make image VERSION=2" in told
    assert f"docker build --file {tmp_path}/image/2/serving/container/Docker" in told
    assert (tmp_path / "image/2/serving/container/Dockerfile").is_file()


def test_the_first_builder_that_works_gets_version_base_tag_and_digest(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tools(tmp_path / "bin", monkeypatch, docker="exit 1", podman="exit 0")
    build_image(config(registry, base="tensorflow/serving@sha256:ab", tag="mine:2"))
    called = (programs / "podman.log").read_text().splitlines()
    assert called[0] == "version"
    context = tmp_path / "image/2"
    assert called[1] == (
        f"build --file {context}/serving/container/Dockerfile --build-arg VERSION=2 "
        "--build-arg BASE=tensorflow/serving@sha256:ab "
        f"--label {DIGEST}={digest_of(registry.folder / '2')} --tag mine:2 {context}"
    )


def test_a_build_that_fails_is_an_error(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", monkeypatch, buildah='[ "$1" = version ]')
    with pytest.raises(ValueError, match=r"`buildah build .*` failed with code 1"):
        build_image(config(registry))


@pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is not installed")
def test_buildah_bakes_the_version_in_as_another_user(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an empty base: the server itself is TF Serving's."""
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\n'
        f'runroot = "{tmp_path}/run"\n'
    )
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    build_image(config(registry, base="scratch", builder="buildah"))

    def buildah(*words: str) -> str:
        done = subprocess.run(
            ["buildah", *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    made = json.loads(buildah("inspect", "--type", "image", "mri-serving:2"))
    settings = made["OCIv1"]["config"]
    assert settings["User"] == "10001:10001"
    assert settings["Entrypoint"] == ["/usr/bin/tensorflow_model_server"]
    assert settings["Labels"]["org.opencontainers.image.version"] == "2"
    assert settings["Labels"][DIGEST] == digest_of(registry.folder / "2")
    container = buildah("from", "--pull-never", "mri-serving:2")
    root = Path(buildah("mount", container))
    assert digest_of(root / "models" / NAME / "2") == digest_of(registry.folder / "2")
    assert (root / "etc/tf-serving/models.config").is_file()
    buildah("rm", container)
