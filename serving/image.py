"""Builds the container image of a published version: TF Serving and the model.

    python -m serving.image --version 3

    build/image/3/     all that the image is made from, to be built elsewhere, too

Docker, Podman or Buildah builds it; whichever is there and works.
"""

import dataclasses
import hashlib
import logging
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

from pipeline.command import run_command
from pipeline.files import sha256_of
from serving.registry import NAME, Registry, models_config

CONTAINER: Final = Path(__file__).parent / "container"
BUILDERS: Final = ("docker", "podman", "buildah")
DIGEST: Final = "mri-contrast.model-sha256"
"""Label with the digest of the model's files: see `digest_of`."""

_IN_IMAGE: Final = Path("/models") / NAME
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class ImageConfig:
    """Builds the image of a published version.

    Attributes:
        version: Which.
        root: The registry's root.
        tag: Name of the image; `mri-serving:VERSION` if not given.
        base: Image to build on, for a release by digest; the Dockerfile's if not given.
        builder: What builds; `auto` takes the first that works.
        out: Folder for what images are made from.
    """

    version: int
    root: Path = Path("models")
    tag: str | None = None
    base: str | None = None
    builder: Literal["auto", "docker", "podman", "buildah"] = "auto"
    out: Path = Path("build/image")


def build_image(config: ImageConfig) -> None:
    """Prepares what the image is made from, builds it and says its name.

    Raises:
        OSError: Nothing that is installed can build it; what it is made from is kept.
        ValueError: There is no such version, or the build failed.
    """
    registry = Registry(config.root)
    context = prepare(registry, config.version, config.out / str(config.version))
    tag = config.tag or f"mri-serving:{config.version}"
    words = [
        *("build", "--file", context / "serving/container/Dockerfile"),
        *("--build-arg", f"VERSION={config.version}"),
        *(() if config.base is None else ("--build-arg", f"BASE={config.base}")),
        *("--label", f"{DIGEST}={digest_of(registry.folder / str(config.version))}"),
        *("--tag", tag, context),
    ]
    builder = _builder(config, shlex.join(["docker", *map(str, words)]))
    command = [builder, *map(str, words)]
    _log.info("%s", shlex.join(command))
    code = subprocess.run(command, check=False).returncode
    if code:
        raise ValueError(
            f"`{shlex.join(command)}` failed with code {code}, as said above; mend "
            f"that, then: make image VERSION={config.version}"
        )
    print(f"built {tag} by {builder}")


def prepare(registry: Registry, version: int, context: Path) -> Path:
    """Lays out all that the Dockerfile copies, and nothing else.

    Args:
        registry: Of the version.
        version: Published.
        context: Folder to make anew.

    Returns:
        That folder.

    Raises:
        RegistryError: There is no such version.
    """
    config = models_config(registry, _IN_IMAGE, version)
    shutil.rmtree(context, ignore_errors=True)
    model = context / "models" / NAME / str(version)
    shutil.copytree(registry.folder / str(version), model)
    files = ("Dockerfile", "batching.config", "monitoring.config")
    (context / "serving/container").mkdir(parents=True)
    for name in files:
        shutil.copyfile(CONTAINER / name, context / "serving/container" / name)
    (context / "build/image").mkdir(parents=True)
    (context / "build/image/models.config").write_text(config)
    # The server is another user, whatever the umask here was.
    for path in context.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return context


def digest_of(model: Path) -> str:
    """Returns one digest of all files of a version, whatever the order on the disk.

    As a shell has it, in the version's folder:
    `find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`.
    """
    names = sorted(
        path.relative_to(model).as_posix()
        for path in model.rglob("*")
        if path.is_file()
    )
    lines = "".join(f"{sha256_of(model / name)}  ./{name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def _builder(config: ImageConfig, command: str) -> str:
    """What can build here."""
    wanted = BUILDERS if config.builder == "auto" else (config.builder,)
    faults = {}
    for name in wanted:
        fault = _fault(name)
        if fault is None:
            return name
        faults[name] = fault
    told = "; ".join(f"{name} {fault}" for name, fault in faults.items())
    raise OSError(
        f"nothing here can build the image ({told}); install or start one of them, "
        f"then: make image VERSION={config.version}; or copy "
        f"{config.out / str(config.version)} to where one is and there: {command}"
    )


def _fault(builder: str) -> str | None:
    """Why a builder cannot be used; None where it can."""
    if shutil.which(builder) is None:
        return "is not installed"
    # Docker's client is often there without its daemon.
    done = subprocess.run(
        [builder, "version"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines() or [f"ends with code {done.returncode}"]
    return f"does not work: {said[-1]}"


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(ImageConfig, build_image, prog="python -m serving.image")


if __name__ == "__main__":
    sys.exit(main())
