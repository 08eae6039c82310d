"""Pod security `restricted`, as the namespaces demand it, and more."""

import re
from collections.abc import Iterator

from tests.k8s.rules.objects import Object, containers, name_of, of_kind, pods

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def namespaces(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "Namespace"):
        labels = each["metadata"].get("labels", {})
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name_of(each)}: does not enforce `restricted`"
        name = each["metadata"]["name"]
        denied = [
            policy
            for policy in of_kind(objects, "NetworkPolicy")
            if policy["metadata"]["namespace"] == name
            and policy["spec"]
            == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        ]
        if not denied:
            yield f"{name_of(each)}: no policy denies what none allows"


def restricted_pods(objects: list[Object]) -> Iterator[str]:
    for each, pod in pods(objects):
        spec, where = pod["spec"], name_of(each)
        security = spec.get("securityContext", {})
        if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
            yield f"{where}: may run as root"
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{where}: no seccomp profile"
        if spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}:
            yield f"{where}: shares the node's namespaces"
        for volume in spec.get("volumes", ()):
            if not volume.keys() - {"name"} <= VOLUMES:
                yield f"{where}: volume {volume['name']} is not allowed"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{where}: carries a token for the API server"
        # A Service called kerastuner-oracle would set KerasTuner's variables.
        if spec.get("enableServiceLinks") is not False:
            yield f"{where}: gets a variable for each Service"


def restricted_containers(objects: list[Object]) -> Iterator[str]:
    for where, _, container in containers(objects):
        security = container.get("securityContext", {})
        for field, value in (
            ("allowPrivilegeEscalation", False),
            ("readOnlyRootFilesystem", True),
            ("capabilities", {"drop": ["ALL"]}),
        ):
            if security.get(field) != value:
                yield f"{where}: {field} is {security.get(field)}"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{where}: takes a port of the node"


def images(objects: list[Object]) -> Iterator[str]:
    for where, _, container in containers(objects):
        image = container["image"]
        if not re.fullmatch(r"\S+(:[\w.-]+|@sha256:[0-9a-f]{64})", image):
            yield f"{where}: image {image} has neither tag nor digest"
        elif image.endswith(":latest"):
            yield f"{where}: image {image} can be any"


RULES = (namespaces, restricted_pods, restricted_containers, images)
