"""Rendered overlays, as objects."""

import copy
import functools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8s import render

Needed = Callable[[str, str], str]
Object = dict[str, Any]

WHERE = "python3.11 .ci/install-kubectl FOLDER unpacks one, put FOLDER on the PATH"

# What no overlay puts together, and somebody's own may.
COMBINED = {
    "gateway-canary": ("base", ["hpa", "gateway", "canary"]),
    "tls": ("base", ["tls", "monitoring"]),
}
KUEUE = "kueue"
ALL = (*sorted(render.overlays()), *COMBINED, KUEUE)
SERVING = ("local", "cpu", "gpu", "canary", "gateway-canary", "tls")


@pytest.fixture(scope="session", autouse=True)
def tools(needed: Needed) -> None:
    needed("kubectl", WHERE)


def kubectl(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *arguments], input=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(text: str) -> list[Object]:
    """The JSON objects that kubectl prints one after the other."""
    decoder, objects = json.JSONDecoder(), []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        objects.append(value)
        text = text[end:]
    return objects


def parse(yaml: str) -> list[Object]:
    # Changes nothing: there is no such annotation. kubectl is the YAML parser here.
    return as_json(kubectl("annotate", "--local", "-f-", "-ojson", "none-", given=yaml))


@pytest.fixture(scope="session")
def rendered(
    tools: None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """The YAML of an overlay, or of a combination of components."""
    folder = tmp_path_factory.mktemp("combined")

    def combine(name: str) -> Path:
        if name == KUEUE:
            base = render.overlays()["train"]
            parts = [render.K8S / "training/components/kueue"]
        else:
            first, components = COMBINED[name]
            base = render.K8S / "serving" / first
            parts = [render.K8S / "serving/components" / one for one in components]
        into = folder / name
        into.mkdir()
        content = {
            "resources": [os.path.relpath(base, into)],
            "components": [os.path.relpath(part, into) for part in parts],
        }
        (into / "kustomization.yaml").write_text(json.dumps(content))
        return into

    @functools.cache
    def render_it(name: str) -> str:
        known = render.overlays()
        return render.kustomize(known[name] if name in known else combine(name))

    return render_it


@pytest.fixture(scope="session")
def parsed(rendered: Callable[[str], str]) -> dict[str, list[Object]]:
    """The objects of all overlays, by one run of kubectl."""
    yaml = "\n---\n".join(f"{mark(name)}\n---\n{rendered(name)}" for name in ALL)
    return by_overlay(parse(yaml))


@pytest.fixture(scope="session")
def objects_of(parsed: dict[str, list[Object]]) -> Callable[[str], list[Object]]:
    """The objects of an overlay: a copy, to be changed at will."""
    return lambda name: copy.deepcopy(parsed[name])


def mark(name: str) -> str:
    """An object that tells whose the next ones are."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: mark-{name}}}"


def by_overlay(objects: list[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for each in objects:
        name = each["metadata"]["name"]
        if name.startswith("mark-"):
            found[name.removeprefix("mark-")] = current = []
        else:
            current.append(each)
    return found
