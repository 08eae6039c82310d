"""Every object by the schema of its API, strictly: no field that is not known there."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.k8s.conftest import ALL, Needed, Object
from tests.k8s.rules.objects import find

HERE = Path(__file__).parent
CUSTOM = ("gateway.networking.k8s.io", "keda.sh", "monitoring.coreos.com")
VERSIONS = ("1.30", "1.37")
"""The oldest Kubernetes that these manifests are for, and the newest that is known."""

WHERE = "python3.11 -m venv FOLDER && FOLDER/bin/pip install -r .ci/manifests.lock"
CRDS = "npm ci --prefix FOLDER, with the files of tests/k8s/crds in it; set MRI_CRDS"

Problems = Callable[[list[Object]], list[str]]


@pytest.fixture(params=VERSIONS)
def by_schema(request: pytest.FixtureRequest, needed: Needed) -> Problems:
    python = Path(needed("kubernetes-validate", WHERE)).with_name("python")

    def check(objects: list[Object]) -> list[str]:
        command = [str(python), str(HERE / "validate.py"), "--version", request.param]
        return run([*command, "--custom", *CUSTOM], objects)

    return check


@pytest.fixture
def by_crd(needed: Needed) -> Problems:
    node = needed("node", "apt-get install nodejs")
    folder = Path(os.environ.get("MRI_CRDS", "build/crds"))
    if not (folder / "node_modules").is_dir():
        missing = f"{folder} holds no schemas of custom resources; {CRDS}"
        if os.environ.get("MRI_REQUIRE_TOOLS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    shutil.copy(HERE / "crds/check.mjs", folder)

    def check(objects: list[Object]) -> list[str]:
        chosen = [one for one in objects if one["apiVersion"].split("/")[0] in CUSTOM]
        assert chosen
        return run([node, "check.mjs"], chosen, folder)

    return check


def run(
    command: list[str], objects: list[Object], folder: Path | None = None
) -> list[str]:
    text = json.dumps(objects)
    done = subprocess.run(
        command, input=text, cwd=folder, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def everything(objects_of: Callable[[str], list[Object]]) -> list[Object]:
    """Each object once, whatever overlays it is in."""
    found = {
        json.dumps(each, sort_keys=True): each
        for name in ALL
        for each in objects_of(name)
    }
    return list(found.values())


def test_the_api_knows_every_object(
    objects_of: Callable[[str], list[Object]], by_schema: Problems
):
    assert by_schema(everything(objects_of)) == []


def test_a_field_that_does_not_exist_and_an_unknown_kind_are_told_of(
    objects_of: Callable[[str], list[Object]], by_schema: Problems
):
    objects = objects_of("cpu")
    server = find(objects, "Deployment", "mri-serving")
    budget = find(objects, "PodDisruptionBudget", "mri-serving")
    assert server is not None
    assert budget is not None
    server["spec"]["template"]["spec"]["terminationGraceSeconds"] = 3
    budget["apiVersion"] = "policy/v1beta1"
    said = " ".join(by_schema(objects))
    assert "terminationGraceSeconds" in said
    assert "PodDisruptionBudget/mri-serving" in said


def test_custom_resources_are_as_their_makers_want_them(
    objects_of: Callable[[str], list[Object]], by_crd: Problems
):
    assert by_crd(everything(objects_of)) == []


def test_wrong_custom_resources_are_told_of(
    objects_of: Callable[[str], list[Object]], by_crd: Problems
):
    objects = objects_of("gpu")
    scaled = find(objects, "ScaledObject", "mri-serving")
    route = find(objects, "GRPCRoute", "mri-serving")
    assert scaled is not None
    assert route is not None
    scaled["spec"]["maxReplicaCount"] = "8"
    route["spec"]["rules"][0]["backendRefs"][0]["weight"] = -1
    said = " ".join(by_crd(objects))
    assert "ScaledObject/mri-serving" in said
    assert "GRPCRoute/mri-serving" in said


def test_checkov_finds_nothing_that_has_no_reason(
    rendered: Callable[[str], str], needed: Needed, tmp_path: Path
):
    checkov = needed("checkov", ".ci/checkov.lock has it")
    for name in (
        "cpu",
        "gpu",
        "canary",
        "train-gpu",
        "tune-gpu",
        "shards",
        "dashboard",
    ):
        (tmp_path / f"{name}.yaml").write_text(rendered(name))
    done = subprocess.run(
        [
            *(checkov, "--config-file", str(HERE / "checkov.yaml")),
            *("--directory", str(tmp_path), "--output", "json"),
        ],
        capture_output=True,
        text=True,
        timeout=280,
    )
    report = json.loads(done.stdout)
    found = {
        f"{each['check_id']} {each['resource']}: {each['check_name']}"
        for each in report["results"]["failed_checks"]
    }
    assert report["summary"]["passed"] > 100, done.stderr
    assert found == set()
