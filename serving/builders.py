"""What builds container images here: Docker, Podman or Buildah."""

import logging
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

Builder = Literal["auto", "docker", "podman", "buildah"]
BUILDERS: Final = ("docker", "podman", "buildah")

_BY_DIGEST: Final = re.compile(r".+@sha256:[0-9a-f]{64}")
_DEFAULT_BASE: Final = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)
_log = logging.getLogger(__name__)


def base_of(dockerfile: Path, given: str | None, *, release: bool) -> str:
    """Returns the image to build on: what was given, or the Dockerfile's own.

    Args:
        dockerfile: Has a line `ARG BASE=...`.
        given: By the caller.
        release: It must be named by its digest: a tag can move.

    Raises:
        ValueError: It is a release, and the base has no digest.
    """
    (default,) = _DEFAULT_BASE.findall(dockerfile.read_text())
    base: str = given or default
    if release and not _BY_DIGEST.fullmatch(base):
        raise ValueError(
            f"a release is built on a base named by digest, not on {base!r}: a tag can "
            "move; take the digest that the registry shows (docker buildx imagetools "
            f'inspect {base}) and add ARGS="--release --base NAME@sha256:DIGEST"'
        )
    return base


def build(builder: Builder, words: Sequence[object], context: Path, again: str) -> str:
    """Builds an image.

    Args:
        builder: Which; `auto` takes the first that works.
        words: After `build`, before the context.
        context: What the image is made from.
        again: The command to give once what is missing is there.

    Returns:
        The builder.

    Raises:
        OSError: Nothing that is installed can build it; the context is kept.
        ValueError: The build failed.
    """
    arguments = ["build", *map(str, words), str(context)]
    found = _find(builder, context, shlex.join(["docker", *arguments]), again)
    command = shlex.join([found, *arguments])
    _log.info("%s", command)
    code = subprocess.run([found, *arguments], check=False).returncode
    if code:
        raise ValueError(
            f"`{command}` failed with code {code}, as said above; mend that, then: "
            f"{again}"
        )
    return found


def _find(builder: Builder, context: Path, command: str, again: str) -> str:
    """What can build here."""
    faults = {}
    for name in BUILDERS if builder == "auto" else (builder,):
        fault = _fault(name)
        if fault is None:
            return name
        faults[name] = fault
    told = "; ".join(f"{name} {fault}" for name, fault in faults.items())
    raise OSError(
        f"nothing here can build the image ({told}); install or start one of them, "
        f"then: {again}; or copy {context} to where one is and there: {command}"
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
