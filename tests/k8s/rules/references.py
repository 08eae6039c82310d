"""What is named elsewhere must be there."""

from collections.abc import Iterator

from tests.k8s.rules.objects import Object, find, name_of, pods

MADE_BY_OPERATORS = {
    ("Secret", "mri-serving-front"),
    ("Secret", "mri-serving-tls"),
    ("ConfigMap", "mri-serving-front-ca"),
}
"""Certificates, which no repository holds: docs/operate.md says how to make them."""

SYSTEM_PRIORITIES = {"system-cluster-critical", "system-node-critical"}


def there(objects: list[Object], kind: str, name: str) -> bool:
    return (kind, name) in MADE_BY_OPERATORS or find(objects, kind, name) is not None


def volumes(objects: list[Object]) -> Iterator[str]:
    for each, pod in pods(objects):
        for volume in pod["spec"].get("volumes", ()):
            for kind, source, key in (
                ("ConfigMap", "configMap", "name"),
                ("Secret", "secret", "secretName"),
                ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
            ):
                name = volume.get(source, {}).get(key)
                if name is not None and not there(objects, kind, name):
                    yield f"{name_of(each)}: there is no {kind} {name}"


def read_only_claims(objects: list[Object]) -> Iterator[str]:
    """A claim that is mounted read-only can be written by no mount of it."""
    for each, pod in pods(objects):
        read_only = {
            volume["name"]
            for volume in pod["spec"].get("volumes", ())
            if volume.get("persistentVolumeClaim", {}).get("readOnly")
        }
        for container in pod["spec"]["containers"]:
            for mount in container.get("volumeMounts", ()):
                if mount["name"] in read_only and not mount.get("readOnly"):
                    yield f"{name_of(each)}: {mount['name']} is read-only"


def accounts(objects: list[Object]) -> Iterator[str]:
    for each, pod in pods(objects):
        name = pod["spec"].get("serviceAccountName", "default")
        if name != "default" and not there(objects, "ServiceAccount", name):
            yield f"{name_of(each)}: there is no ServiceAccount {name}"


def priorities(objects: list[Object]) -> Iterator[str]:
    for each, pod in pods(objects):
        name = pod["spec"].get("priorityClassName")
        if name is None or name in SYSTEM_PRIORITIES:
            continue
        if not there(objects, "PriorityClass", name):
            yield f"{name_of(each)}: there is no PriorityClass {name}"


RULES = (volumes, read_only_claims, accounts, priorities)
