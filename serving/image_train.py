"""Builds the container image that trains: this checkout and its locked requirements.

python -m serving.image_train

build/image/train/     all that the image is made from, to be built elsewhere, too
"""

import dataclasses
import shutil
import sys
from pathlib import Path
from typing import Final

from pipeline.command import run_command
from pipeline.files import write_json
from serving import builders, sbom
from serving.builders import Builder
from serving.image import CONTAINER, open_to_all
from serving.revision import source_revision

NAME: Final = "mri-train"
CHECKOUT: Final = CONTAINER.parents[1]

_COPIED: Final = ("pipeline", "tuner", "serving")
_LEFT_OUT: Final = shutil.ignore_patterns(
    "__pycache__", ".*", "*.egg-info", "build", "dist"
)
_AGAIN: Final = "make image-train"


@dataclasses.dataclass(frozen=True, slots=True)
class TrainImageConfig:
    """Builds the image that trains.

    Attributes:
        lock: The locked requirements; requirements-gpu.lock where there are GPUs.
        tag: Name of the image.
        base: Image to build on, for a release by digest; the Dockerfile's if not given.
        release: Refuse a base without a digest.
        builder: What builds; `auto` takes the first that works.
        out: Folder for what the image is made from.
    """

    lock: Path = CHECKOUT / "requirements.lock"
    tag: str = f"{NAME}:latest"
    base: str | None = None
    release: bool = False
    builder: Builder = "auto"
    out: Path = Path("build/image/train")


def build_image(config: TrainImageConfig) -> None:
    """Prepares what the image is made from, builds it and says its name.

    Raises:
        OSError: Nothing that is installed can build it; what it is made from is kept.
        ValueError: The base has no digest, or the build failed.
    """
    dockerfile = CONTAINER / "Dockerfile.train"
    base = builders.base_of(dockerfile, config.base, release=config.release)
    context = prepare(config.lock, base, config.out)
    revision = source_revision()
    words = [
        *("--file", context / "Dockerfile"),
        *("--build-arg", f"BASE={base}"),
        *("--label", f"org.opencontainers.image.base.name={base}"),
        *(
            ("--label", f"org.opencontainers.image.revision={revision}")
            if revision
            else ()
        ),
        *("--tag", config.tag),
    ]
    builder = builders.build(config.builder, words, context, _AGAIN)
    print(f"built {config.tag} by {builder}")


def prepare(lock: Path, base: str, context: Path) -> Path:
    """Lays out all that `Dockerfile.train` copies, and nothing else.

    Args:
        lock: The locked requirements.
        base: Image to build on, for the bill of materials.
        context: Folder to make anew.

    Returns:
        That folder.

    Raises:
        FileNotFoundError: There is no such lock.
        ValueError: A package in it is not pinned by version and hash.
    """
    packages = sbom.packages(lock)
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    for name in _COPIED:
        shutil.copytree(CHECKOUT / name, context / name, ignore=_LEFT_OUT)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copyfile(CHECKOUT / name, context / name)
    shutil.copyfile(CONTAINER / "Dockerfile.train", context / "Dockerfile")
    shutil.copyfile(lock, context / "requirements.lock")
    subject = sbom.image(NAME, source_revision() or "unknown")
    write_json(
        context / "sbom.cdx.json", sbom.bill(subject, [sbom.base(base), *packages])
    )
    open_to_all(context)
    return context


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        TrainImageConfig, build_image, prog="python -m serving.image_train"
    )


if __name__ == "__main__":
    sys.exit(main())
