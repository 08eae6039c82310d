"""The image of a version: what it is made from, who builds it, and what is in it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.command import run_command
from pipeline.files import sha256_of
from serving import image_train, sbom
from serving.image import (
    CONTAINER,
    DIGEST,
    ImageConfig,
    build_image,
    digest_of,
    prepare,
)
from serving.integrity import SUMS
from serving.registry import NAME, Registry, RegistryError

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"weights"}
BASE = "docker.io/tensorflow/serving:2.20.0"
DIGESTED = f"docker.io/tensorflow/serving@sha256:{'ab' * 32}"
ROOT = CONTAINER.parents[1]
CARD = {
    "intended_use": "Routing.",
    "licence": "Apache-2.0",
    "source_revision": "c0ffee",
    "libraries": {"tensorflow": "2.20.0"},
}
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
faults = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(str(faults) if faults else 0)
"""
TOOLS = "python3.11 -m venv FOLDER && FOLDER/bin/pip install -r .ci/containers.lock"


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
            extra = workspace / "model/assets.extra"
            extra.mkdir()
            (extra / "model_card.json").write_text(json.dumps(CARD))
            registry.publish(workspace / "model")
    return registry


def config(registry: Registry, **given: object) -> ImageConfig:
    out = registry.root.parent / "image"
    return ImageConfig(version=2, root=registry.root, out=out, **given)  # type: ignore[arg-type]


def test_everything_that_the_dockerfile_copies_is_laid_out_and_nothing_else(
    registry: Registry, tmp_path: Path
) -> None:
    context = prepare(registry, 2, tmp_path / "context", BASE)
    text = (context / "serving/container/Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+)", text.replace("${VERSION}", "2"), re.MULTILINE)
    found = {path for path in context.rglob("*") if path.is_file()}
    wanted = {context / "serving/container/Dockerfile"}
    for name in copied:
        path = context / name
        inside = {each for each in path.rglob("*") if each.is_file()}
        wanted |= {path} if path.is_file() else inside
    assert copied
    assert found == wanted
    assert (
        context / "models" / NAME / "2" / "saved_model.pb"
    ).read_bytes() == b"graph2"
    served = (context / "build/image/models.config").read_text()
    assert f'base_path: "/models/{NAME}"' in served
    assert "versions: 2" in served


def test_what_another_version_left_is_gone(registry: Registry, tmp_path: Path) -> None:
    prepare(registry, 1, tmp_path / "context", BASE)
    context = prepare(registry, 2, tmp_path / "context", BASE)
    assert [path.name for path in (context / "models" / NAME).iterdir()] == ["2"]


def test_the_server_s_user_may_read_it_whatever_the_umask(
    registry: Registry, tmp_path: Path
) -> None:
    (registry.folder / "2" / "saved_model.pb").chmod(0o600)
    context = prepare(registry, 2, tmp_path / "context", BASE)
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
        prepare(registry, 3, registry.root / "context", BASE)


def test_a_damaged_version_gets_no_image(registry: Registry, tmp_path: Path) -> None:
    model = registry.folder / "2/saved_model.pb"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    with pytest.raises(RegistryError, match=r"version 2 is not .*saved_model\.pb"):
        prepare(registry, 2, tmp_path / "context", BASE)
    assert not (tmp_path / "context").exists()


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
    build_image(config(registry, base=DIGESTED, tag="mine:2", release=True))
    called = (programs / "podman.log").read_text().splitlines()
    assert called[0] == "version"
    context = tmp_path / "image/2"
    assert called[1] == (
        f"build --file {context}/serving/container/Dockerfile --build-arg VERSION=2 "
        f"--build-arg BASE={DIGESTED} "
        f"--label {DIGEST}={digest_of(registry.folder / '2')} "
        f"--label org.opencontainers.image.base.name={DIGESTED} "
        f"--label org.opencontainers.image.revision=c0ffee --tag mine:2 {context}"
    )


def test_a_build_that_fails_is_an_error(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", monkeypatch, buildah='[ "$1" = version ]')
    with pytest.raises(ValueError, match=r"`buildah build .*` failed with code 1"):
        build_image(config(registry))


@pytest.mark.parametrize(
    "base", [None, "tensorflow/serving:2.20.0", f"tensorflow/serving@sha256:{'a' * 63}"]
)
def test_a_release_on_a_base_without_its_digest_is_refused(
    registry: Registry, base: str | None
) -> None:
    with pytest.raises(ValueError, match="a release is built on a base named by dig"):
        build_image(config(registry, base=base, release=True))
    with pytest.raises(ValueError, match="a release is built on a base named by dig"):
        image_train.build_image(image_train.TrainImageConfig(base=base, release=True))
    assert not (registry.root.parent / "image").exists()


def valid(path: Path, needed: Callable[[str, str], str]) -> None:
    """Holds a bill of materials against CycloneDX' own schema."""
    python = Path(needed("check-jsonschema", TOOLS)).with_name("python")
    done = subprocess.run(
        [python, "-c", VALIDATE],
        input=path.read_text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_bill_of_materials_tells_the_model_and_the_base(
    registry: Registry, tmp_path: Path, needed: Callable[[str, str], str]
) -> None:
    path = prepare(registry, 2, tmp_path / "context", DIGESTED)
    path /= "build/image/sbom.cdx.json"
    bill = json.loads(path.read_text())
    base, model = bill["components"]
    assert bill["metadata"]["component"]["version"] == "2"
    assert base["name"] == "docker.io/tensorflow/serving"
    assert base["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert model["type"] == "machine-learning-model"
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    folder = registry.folder / "2"
    assert model["hashes"][0]["content"] == digest_of(folder)
    files = {each["name"]: each["hashes"][0]["content"] for each in model["components"]}
    assert files == {
        name: sha256_of(folder / name)
        for name in (*FILES, "assets.extra/model_card.json", SUMS.as_posix())
    }
    again = prepare(registry, 2, tmp_path / "again", DIGESTED)
    assert (again / "build/image/sbom.cdx.json").read_bytes() == path.read_bytes()
    valid(path, needed)


def test_the_image_that_trains_is_made_from_the_checkout_and_its_lock(
    tmp_path: Path, needed: Callable[[str, str], str]
) -> None:
    lock = ROOT / "requirements.lock"
    context = image_train.prepare(lock, "python:3.11", tmp_path / "train")
    assert (context / "requirements.lock").read_bytes() == lock.read_bytes()
    text = (context / "Dockerfile").read_text()
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (.+)$", text, re.M)]
    assert {path.name for path in context.iterdir()} == {
        "Dockerfile",
        *(Path(name).parts[0] for names in copied for name in names),
    }
    assert all((context / name).exists() for names in copied for name in names)
    assert (context / "pipeline/train.py").is_file()
    assert not [p for p in context.rglob("*") if p.name in {"__pycache__", ".venv"}]
    bill = json.loads((context / "sbom.cdx.json").read_text())
    packages = {each["name"]: each for each in bill["components"]}
    assert packages["tensorflow"]["purl"] == "pkg:pypi/tensorflow@2.20.0"
    told = packages["tensorflow"]["externalReferences"][0]["hashes"]
    hashes = re.findall(r"--hash=sha256:(\w+)", lock.read_text())
    assert {each["content"] for each in told} <= set(hashes)
    assert len(packages) == len(re.findall(r"^\S+==", lock.read_text(), re.M)) + 1
    valid(context / "sbom.cdx.json", needed)


def test_buildah_lays_out_the_image_that_trains(
    tmp_path: Path, buildah: Callable[..., str]
) -> None:
    """All but what it runs: that needs a base with Python."""
    context = image_train.prepare(
        ROOT / "requirements.lock", "scratch", tmp_path / "train"
    )
    text = (context / "Dockerfile").read_text().replace("\\\n", " ")
    kept = [line for line in text.splitlines() if not line.startswith("RUN ")]
    (context / "Dockerfile").write_text("\n".join(kept))
    buildah("build", "--build-arg", "BASE=scratch", "--tag", "mri-train", str(context))
    made = json.loads(buildah("inspect", "--type", "image", "mri-train"))
    settings = made["OCIv1"]["config"]
    assert settings["User"] == "10001:10001"
    assert settings["Entrypoint"] == ["make", "PYTHON=python3"]
    assert settings["Cmd"] == ["train"]
    assert "HOME=/tmp" in settings["Env"]
    container = buildah("from", "--pull-never", "mri-train")
    root = Path(buildah("mount", container))
    assert (root / "app/pipeline/train.py").is_file()
    assert (root / "app/serving/client/pyproject.toml").is_file()
    bill = root / settings["Labels"]["mri-contrast.sbom"].lstrip("/")
    assert json.loads(bill.read_text())["bomFormat"] == "CycloneDX"
    buildah("rm", container)


def test_every_package_of_both_locks_is_in_a_bill() -> None:
    for name in ("requirements.lock", "requirements-gpu.lock"):
        text = (ROOT / name).read_text()
        assert len(sbom.packages(ROOT / name)) == text.count("==") - text.count("# ==")


def test_a_lock_without_hashes_makes_no_image(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("numpy==2.0\n")
    with pytest.raises(ValueError, match=r"'numpy==2\.0' is not pinned by version"):
        image_train.prepare(tmp_path / "lock", "python:3.11", tmp_path / "train")
    assert not (tmp_path / "train").exists()


def test_make_hands_a_signal_to_the_training_and_waits_for_it(tmp_path: Path) -> None:
    """As process 1 of the image that trains: the recipe is one simple command."""
    training = tmp_path / "python3"
    training.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, signal, sys\n"
        "def end(*_):\n"
        "    pathlib.Path(sys.argv[0] + '.saved').touch()\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print(*sys.argv[1:3], flush=True)\n"
        "signal.pause()\n"
    )
    training.chmod(0o755)
    with subprocess.Popen(
        ["make", "--no-print-directory", "--silent", f"PYTHON={training}", "train"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MFLAGS"}},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "-m pipeline.train\n"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert Path(f"{training}.saved").exists()


@pytest.fixture
def buildah(
    needed: Callable[[str, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Buildah with a storage of its own, without privileges."""
    program = needed("buildah", "apt-get install buildah")
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\n'
        f'runroot = "{tmp_path}/run"\n'
    )
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")

    def call(*words: str) -> str:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return call


def test_buildah_bakes_the_version_in_as_another_user(
    registry: Registry, buildah: Callable[..., str]
) -> None:
    """On an empty base: the server itself is TF Serving's."""
    build_image(config(registry, base="scratch", builder="buildah"))
    made = json.loads(buildah("inspect", "--type", "image", "mri-serving:2"))
    settings: dict[str, Any] = made["OCIv1"]["config"]
    assert settings["User"] == "10001:10001"
    assert settings["Entrypoint"] == ["/usr/bin/tensorflow_model_server"]
    assert all(word.startswith("--") for word in settings["Cmd"])
    labels = settings["Labels"]
    assert labels["org.opencontainers.image.version"] == "2"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.revision"] == "c0ffee"
    assert labels["org.opencontainers.image.base.name"] == "scratch"
    assert labels[DIGEST] == digest_of(registry.folder / "2")
    # Nothing is written there: whatever is, is a temporary file of the caller's.
    assert not settings.get("Volumes")
    container = buildah("from", "--pull-never", "mri-serving:2")
    root = Path(buildah("mount", container))
    assert digest_of(root / "models" / NAME / "2") == digest_of(registry.folder / "2")
    named = [word.split("=")[1] for word in settings["Cmd"] if "_file=" in word]
    assert named
    assert all((root / name.lstrip("/")).is_file() for name in named)
    bill = root / labels["mri-contrast.sbom"].lstrip("/")
    assert json.loads(bill.read_text())["components"][1]["version"] == "2"
    # Readable for the server's user and writable by root alone.
    for path in (root / "models").rglob("*"):
        assert path.stat().st_uid == 0
        assert not path.stat().st_mode & 0o022
        assert path.stat().st_mode & 0o004
    buildah("rm", container)
