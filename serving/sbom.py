"""What is in an image, as CycloneDX 1.6 JSON: packages by hash, the model by its files.

The same content gives the same bytes: there is no date, and the serial number is drawn
from the rest. https://cyclonedx.org/docs/1.6/json/
"""

import importlib.metadata
import json
import re
import uuid
from pathlib import Path
from typing import Any, Final

from pipeline.files import sha256_of

SPEC: Final = "1.6"

_PINNED: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,.-]+\])?==([^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_IMAGE: Final = re.compile(
    r"(?P<name>[^@]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>.+))?"
)

Component = dict[str, Any]


def bill(subject: Component, components: list[Component]) -> dict[str, Any]:
    """Returns a bill of materials.

    Args:
        subject: What it is of.
        components: What is in it, each with a `bom-ref` of its own.
    """
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
        "dependencies": [
            {
                "ref": subject["bom-ref"],
                "dependsOn": sorted(each["bom-ref"] for each in components),
            }
        ],
    }
    text = json.dumps(content, sort_keys=True)
    return {"serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, text).urn, **content}


def image(name: str, version: str) -> Component:
    """The image itself."""
    return {
        "bom-ref": f"image:{name}",
        "type": "container",
        "name": name,
        "version": version,
    }


def base(reference: str) -> Component:
    """The image that another one is built on: `name:tag`, `name@sha256:...` or both."""
    found = _IMAGE.fullmatch(reference)
    if found is None:
        raise ValueError(f"{reference!r} names no image; write NAME:TAG or NAME@DIGEST")
    component = {
        "bom-ref": f"base:{reference}",
        "type": "container",
        "name": found["name"],
        "version": found["digest"] or found["tag"] or "latest",
    }
    if found["digest"]:
        content = found["digest"].removeprefix("sha256:")
        component["hashes"] = [{"alg": "SHA-256", "content": content}]
    return component


def model(folder: Path, name: str, digest: str, card: dict[str, Any]) -> Component:
    """A version of the model with all its files.

    Args:
        folder: Of the version.
        name: Of the model.
        digest: Of all files together.
        card: Its model card; empty for a version without one.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    component = {
        "bom-ref": f"model:{name}@{folder.name}",
        "type": "machine-learning-model",
        "name": name,
        "version": folder.name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "modelCard": {"modelParameters": {"task": "image classification"}},
        "components": [_file(path, path.relative_to(folder)) for path in files],
    }
    if card:
        component["description"] = card["intended_use"]
        component["licenses"] = [{"license": {"id": card["licence"]}}]
        component["properties"] = [
            {"name": f"mri-contrast:made-with:{library}", "value": version}
            for library, version in sorted(card["libraries"].items())
        ]
    return component


def _file(path: Path, name: Path) -> Component:
    return {
        "bom-ref": f"file:{name.as_posix()}",
        "type": "file",
        "name": name.as_posix(),
        "hashes": [{"alg": "SHA-256", "content": sha256_of(path)}],
    }


def packages(lock: Path) -> list[Component]:
    """The packages of a lock file, with the hashes that pip accepts.

    Their licences are told where the same version is installed here.

    Raises:
        ValueError: A package is not pinned by version and hash.
    """
    text = lock.read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [_package(line) for line in lines if line and not line.startswith("#")]


def _package(line: str) -> Component:
    found = _PINNED.match(line)
    hashes = _HASH.findall(line)
    if found is None or not hashes:
        raise ValueError(
            f"{line.split('--hash')[0].strip()!r} is not pinned by version and hash; "
            "make the lock as docs/dependencies.md says"
        )
    name = re.sub(r"[-_.]+", "-", found[1]).lower()
    version = found[2]
    purl = f"pkg:pypi/{name}@{version}"
    component: Component = {
        "bom-ref": purl,
        "type": "library",
        "name": name,
        "version": version,
        "purl": purl,
        # One of the files that pip may take: each a distribution of its own.
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{name}/{version}/",
                "hashes": [
                    {"alg": "SHA-256", "content": each} for each in sorted(hashes)
                ],
            }
        ],
    }
    expression = _licence(name, version)
    if expression:
        component["licenses"] = [{"expression": expression}]
    return component


def _licence(name: str, version: str) -> str | None:
    """The SPDX expression of an installed package, where it has one."""
    try:
        told = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    same = told["Version"] == version and "License-Expression" in told
    return told["License-Expression"] if same else None
