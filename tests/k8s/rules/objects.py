"""Finding things in rendered objects."""

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

WORKLOADS = ("Deployment", "Job")
CLUSTER_WIDE = ("Namespace", "PriorityClass")


def name_of(each: Object) -> str:
    """`Kind/name`, as messages have it."""
    return f"{each['kind']}/{each['metadata']['name']}"


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]


def find(objects: list[Object], kind: str, name: str) -> Object | None:
    found = [
        each for each in of_kind(objects, kind) if each["metadata"]["name"] == name
    ]
    return found[0] if found else None


def pods(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Each workload with the pod that it starts."""
    for each in of_kind(objects, *WORKLOADS):
        yield each, each["spec"]["template"]


def containers(objects: list[Object]) -> Iterator[tuple[str, Object, Object]]:
    """Each container with where it is, and its pod."""
    for each, pod in pods(objects):
        inside = pod["spec"]
        for container in (*inside.get("initContainers", ()), *inside["containers"]):
            yield f"{name_of(each)} {container['name']}", pod, container


def selects(selector: Object | None, labels: dict[str, str]) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    if selector is None:
        return False
    if set(selector) - {"matchLabels"}:
        raise NotImplementedError(f"a selector by {sorted(selector)}")
    return selector.get("matchLabels", {}).items() <= labels.items()


def labels_of(pod: Object) -> dict[str, str]:
    return pod["metadata"].get("labels", {})


def selected(
    objects: list[Object], selector: Object | None, namespace: str | None
) -> list[tuple[Object, Object]]:
    """The workloads of a namespace whose pods a selector takes."""
    return [
        (each, pod)
        for each, pod in pods(objects)
        if each["metadata"].get("namespace") == namespace
        and selects(selector, labels_of(pod))
    ]


def ports_of(pod: Object) -> dict[str, int]:
    """Ports of a pod by name."""
    return {
        port["name"]: port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
    }
