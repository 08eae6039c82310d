"""What each overlay holds, and that nothing in it would be refused."""

import json
from collections.abc import Callable

import pytest

from tests.k8s.conftest import ALL, Object, as_json, kubectl
from tests.k8s.rules import problems
from tests.k8s.rules.objects import of_kind

Objects = Callable[[str], list[Object]]

SERVER = {
    "Namespace/mri-contrast",
    "ServiceAccount/mri-serving",
    "Service/mri-serving",
    "Deployment/mri-serving",
    "PodDisruptionBudget/mri-serving",
    "NetworkPolicy/default-deny",
    "NetworkPolicy/mri-serving",
}
FRONT = {
    "ConfigMap/envoy-routes",
    "Deployment/mri-serving-front",
    "NetworkPolicy/mri-serving-front",
    "PodDisruptionBudget/mri-serving-front",
    "Service/mri-serving-front",
}
MONITORING = {
    "ConfigMap/grafana-mri-serving",
    "PrometheusRule/mri-contrast",
    "ServiceMonitor/mri-serving",
    "ServiceMonitor/mri-serving-front",
}
GATEWAY = {
    "Gateway/mri-serving",
    "GRPCRoute/mri-serving",
    "NetworkPolicy/gateway",
    "NetworkPolicy/gateway-to-serving",
}
CANARY = {
    "Deployment/mri-serving-canary",
    "PodDisruptionBudget/mri-serving-canary",
    "Service/mri-serving-canary",
    "ServiceAccount/mri-serving-canary",
}
HPA = {"HorizontalPodAutoscaler/mri-serving"}
TRAINING = {
    "Namespace/mri-training",
    "NetworkPolicy/default-deny",
    "PersistentVolumeClaim/data",
    "PersistentVolumeClaim/runs",
    "ServiceAccount/mri-training",
}
TUNE = TRAINING | {
    "Job/tuner-chief",
    "Job/tuner-worker",
    "NetworkPolicy/tuner-chief",
    "NetworkPolicy/tuner-worker",
    "PriorityClass/mri-tuner-chief",
    "Service/tuner-chief",
}
HELD = {
    "local": SERVER,
    "cpu": SERVER | HPA | FRONT | MONITORING,
    "gpu": SERVER | GATEWAY | MONITORING | {"ScaledObject/mri-serving"},
    "canary": SERVER | HPA | FRONT | MONITORING | CANARY,
    "gateway-canary": SERVER | HPA | GATEWAY | CANARY,
    "tls": SERVER | MONITORING,
    "shards": TRAINING | {"Job/shards"},
    "merge": TRAINING | {"Job/merge"},
    "train": TRAINING | {"Job/train"},
    "train-gpu": TRAINING | {"Job/train"},
    "tune": TUNE,
    "tune-gpu": TUNE,
    "dashboard": TRAINING | {"Deployment/dashboard"},
    "kueue": TRAINING | {"Job/train"},
}


@pytest.mark.parametrize("name", ALL)
def test_it_holds_what_it_should(name: str, objects_of: Objects):
    # Envoy's configuration is called after its content.
    held = {
        f"{each['kind']}/{each['metadata']['name']}"
        for each in objects_of(name)
        if not each["metadata"]["name"].startswith("envoy-")
        or each["metadata"]["name"] == "envoy-routes"
    }
    assert held == HELD[name]


@pytest.mark.parametrize("name", ALL)
def test_nothing_would_be_refused_or_run_otherwise(name: str, objects_of: Objects):
    assert problems(objects_of(name)) == []


def test_the_api_s_own_types_lose_nothing(objects_of: Objects):
    """`set image` decodes workloads into the API's own types: a wrong quantity is
    refused there, and a field that does not exist is left out of what comes back."""
    before = [
        each for name in ALL for each in of_kind(objects_of(name), "Deployment", "Job")
    ]
    text = kubectl(
        *("set", "image", "--local", "-f-", "-ojson", "*=new"),
        given=json.dumps({"apiVersion": "v1", "kind": "List", "items": before}),
    )
    after = as_json(text)
    assert len(after) == len(before)
    for one, other in zip(before, after, strict=True):
        places = lost(one["spec"], other["spec"])
        assert [place for place in places if not place.endswith("/image")] == []


def lost(before: object, after: object, path: str = "") -> list[str]:
    """Where `after` lacks or changes what `before` says."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            place
            for name, value in before.items()
            for place in lost(value, after.get(name), f"{path}/{name}")
        ]
    if isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            return [path]
        return [
            place
            for index, (one, other) in enumerate(zip(before, after, strict=True))
            for place in lost(one, other, f"{path}/{index}")
        ]
    # What is nothing may be left out.
    return [] if before == after or (not before and not after) else [path]
