"""Builds the container image of a published version: TF Serving and the model.

    python -m serving.image --version 3

    build/image/3/     all that the image is made from, to be built elsewhere, too

Docker, Podman or Buildah builds it; whichever is there and works.
"""

import dataclasses
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from pipeline.command import run_command
from pipeline.files import sha256_of, write_json
from serving import builders, sbom
from serving.builders import Builder
from serving.versions import NAME, Registry, RegistryError, models_config

CONTAINER: Final = Path(__file__).parent / "container"
DIGEST: Final = "mri-contrast.model-sha256"
"""Label with the digest of the model's files: see `digest_of`."""

_IN_IMAGE: Final = Path("/models") / NAME
_CARD: Final = Path("assets.extra") / "model_card.json"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageConfig:
    """Builds the image of a published version.

    Attributes:
        version: Which.
        root: The registry's root.
        tag: Name of the image; `mri-serving:VERSION` if not given.
        base: Image to build on, for a release by digest; the Dockerfile's if not given.
        release: Refuse a base without a digest.
        builder: What builds; `auto` takes the first that works.
        out: Folder for what images are made from.
    """

    version: int
    root: Path = Path("models")
    tag: str | None = None
    base: str | None = None
    release: bool = False
    builder: Builder = "auto"
    out: Path = Path("build/image")


def build_image(config: ImageConfig) -> None:
    """Prepares what the image is made from, builds it and says its name.

    Raises:
        OSError: Nothing that is installed can build it; what it is made from is kept.
        ValueError: There is no such version, the base has no digest, or the build
            failed.
    """
    base = builders.base_of(
        CONTAINER / "Dockerfile", config.base, release=config.release
    )
    registry = Registry(config.root)
    context = config.out / str(config.version)
    prepare(registry, config.version, context, base)
    tag = config.tag or f"mri-serving:{config.version}"
    model = registry.folder / str(config.version)
    labels = {
        DIGEST: digest_of(model),
        "org.opencontainers.image.base.name": base,
        "org.opencontainers.image.revision": _card(model).get("source_revision"),
    }
    words = [
        *("--file", context / "serving/container/Dockerfile"),
        *("--build-arg", f"VERSION={config.version}"),
        *("--build-arg", f"BASE={base}"),
    ]
    for name, value in labels.items():
        words += ["--label", f"{name}={value}"] if value else []
    again = f"make image VERSION={config.version}"
    builder = builders.build(config.builder, [*words, "--tag", tag], context, again)
    print(f"built {tag} by {builder}")


def prepare(registry: Registry, version: int, context: Path, base: str) -> Path:
    """Lays out all that the Dockerfile copies, and nothing else.

    Args:
        registry: Of the version.
        version: Published.
        context: Folder to make anew.
        base: Image to build on, for the bill of materials.

    Returns:
        That folder.

    Raises:
        RegistryError: There is no such version, or it is damaged: no server checks
            again what an image holds.
    """
    if found := registry.faults(version):
        raise RegistryError(
            f"version {version} is not as it was published ({'; '.join(found)}); "
            "publish it again"
        )
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
    digest = digest_of(model)
    subject = sbom.image("mri-serving", str(version))
    components = [sbom.base(base), sbom.model(model, NAME, digest, _card(model))]
    write_json(context / "build/image/sbom.cdx.json", sbom.bill(subject, components))
    open_to_all(context)
    return context


def open_to_all(context: Path) -> None:
    """Lets any user read what was laid out, whatever the umask here was."""
    for path in context.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


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


def _card(model: Path) -> dict[str, Any]:
    """The model card of a version; empty where it was published without one."""
    path = model / _CARD
    card: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return card


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(ImageConfig, build_image, prog="python -m serving.image")


if __name__ == "__main__":
    sys.exit(main())
