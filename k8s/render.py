"""Renders an overlay with its images filled in: what `make k8s` does.

    python3 k8s/render.py                       all overlays, into build/k8s
    python3 k8s/render.py cpu --image HOST/mri-serving@sha256:...

Leaves build/k8s/OVERLAY/kustomization.yaml, for `kubectl apply -k` and `kubectl diff
-k`. Needs kubectl 1.30 or later, and no package: the standard library alone.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

K8S: Final = Path(__file__).parent
OUT: Final = Path("build/k8s")

SERVING: Final = "mri-serving"
CANARY: Final = "mri-serving-canary"
TRAINING: Final = "mri-train"
ENVOY: Final = "envoy"
UNSET: Final = "unset"
"""Tag and class of what nobody has named yet: nothing of that name exists."""

_NAMED: Final = re.compile(r"image: (?:\S*/)?([\w-]+)(?::\S+|@\S+)?$", re.MULTILINE)
_DIGEST: Final = re.compile(r"(?P<name>[^@\s]+)@(?P<digest>sha256:[0-9a-f]{64})")
_TAG: Final = re.compile(r"(?P<name>[^@\s]+?):(?P<tag>[\w][\w.-]{0,127})")


def overlays() -> dict[str, Path]:
    """Returns the folder of each overlay, by name."""
    found = sorted(K8S.glob("*/overlays/*/kustomization.yaml"))
    return {path.parent.name: path.parent for path in found}


def kustomize(folder: Path) -> str:
    """Returns the objects of a folder as YAML.

    Raises:
        ValueError: kubectl refuses what is there.
    """
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{folder} cannot be rendered: {done.stderr.strip()}")
    return done.stdout


def prepare(name: str, images: dict[str, str], gateway_class: str | None) -> Path:
    """Writes a kustomization on top of an overlay.

    Args:
        name: Of the overlay.
        images: What to put for each image that the overlay names.
        gateway_class: Of the Gateway, where the overlay has one.

    Returns:
        Its folder.

    Raises:
        ValueError: There is no such overlay, an image is missing or has no digest where
            only that will do, or is given to an overlay that does not use it.
    """
    known = overlays()
    if name not in known:
        raise ValueError(f"no overlay {name!r}; there are: {', '.join(known)}")
    text = kustomize(known[name])
    used = sorted(set(_NAMED.findall(text)))
    if surplus := sorted(set(images) - set(used)):
        raise ValueError(
            f"overlay {name} has no image {', '.join(surplus)}; it has: "
            f"{', '.join(used)}"
        )
    chosen = [
        _image(image, images[image], loose=name == "local")
        for image in used
        if image in images
    ]
    patches = []
    if "kind: Gateway\n" in text and gateway_class is not None:
        operation = {
            "op": "replace",
            "path": "/spec/gatewayClassName",
            "value": gateway_class,
        }
        target = {"kind": "Gateway"}
        patches = [{"target": target, "patch": json.dumps([operation])}]
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(known[name], folder)],
        "images": chosen,
        "patches": patches,
    }
    # JSON is YAML.
    (folder / "kustomization.yaml").write_text(json.dumps(content, indent=2) + "\n")
    return folder


def unset(text: str) -> list[str]:
    """Returns what a rendered overlay still lacks."""
    images = sorted(set(re.findall(rf"image: (\S+):{UNSET}$", text, re.MULTILINE)))
    lacking = [f"image {name}" for name in images]
    if f"gatewayClassName: {UNSET}" in text:
        lacking.append("the class of the Gateway")
    return lacking


def _image(name: str, value: str, *, loose: bool) -> dict[str, str]:
    """An entry of `images`; a tag will do on one machine alone, since it can move."""
    if match := _DIGEST.fullmatch(value):
        return {"name": name, "newName": match["name"], "digest": match["digest"]}
    if loose and (match := _TAG.fullmatch(value)):
        return {"name": name, "newName": match["name"], "newTag": match["tag"]}
    raise ValueError(
        f"image {name} is {value!r}; name it by digest, HOST/NAME@sha256:<64 hex "
        "digits>, as the registry shows it after a push: a tag can move"
    )


def main(arguments: list[str] | None = None) -> int:
    """Prints one overlay, or writes all of them; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("overlay", nargs="?", help=", ".join(overlays()))
    parser.add_argument("--image", help="of the servers, or of what trains")
    parser.add_argument("--canary-image", help="of the second track")
    parser.add_argument("--envoy-image", help="of the front")
    parser.add_argument("--gateway-class", help="whose Gateway it is")
    given = parser.parse_args(arguments)
    try:
        if not given.overlay:
            return _all()
        return _one(given)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _one(given: argparse.Namespace) -> int:
    training = (K8S / "training/overlays" / given.overlay).is_dir()
    named = {
        TRAINING if training else SERVING: given.image,
        CANARY: given.canary_image,
        ENVOY: given.envoy_image,
    }
    images = {name: value for name, value in named.items() if value}
    folder = prepare(given.overlay, images, given.gateway_class)
    text = kustomize(folder)
    if lacking := unset(text):
        options = "IMAGE=, CANARY_IMAGE=, ENVOY_IMAGE=, GATEWAY_CLASS="
        raise ValueError(f"{given.overlay} lacks {', '.join(lacking)}; give {options}")
    print(text, end="")
    return 0


def _all() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    for name, folder in overlays().items():
        text = kustomize(folder)
        path = OUT / f"{name}.yaml"
        path.write_text(text)
        lacking = ", ".join(unset(text))
        print(f"{path}{f': lacks {lacking}' if lacking else ''}")
    print("to fill one in: make k8s OVERLAY=cpu IMAGE=HOST/mri-serving@sha256:...")
    return 0


if __name__ == "__main__":
    sys.exit(main())
