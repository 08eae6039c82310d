"""Names, labels, namespaces."""

import re
from collections import Counter
from collections.abc import Iterator

from tests.k8s.rules.objects import (
    CLUSTER_WIDE,
    Object,
    containers,
    name_of,
    of_kind,
    pods,
)

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# A Service becomes a name in DNS that begins with a letter.
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?")
KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?"
)
PORT = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")

_STRICT = {"Service": DNS_1035, "Namespace": LABEL, "Job": LABEL}


def object_names(objects: list[Object]) -> Iterator[str]:
    for each in objects:
        name = each["metadata"]["name"]
        if not _STRICT.get(each["kind"], SUBDOMAIN).fullmatch(name):
            yield f"{name_of(each)}: no valid name"


def container_and_port_names(objects: list[Object]) -> Iterator[str]:
    for where, _, container in containers(objects):
        if not LABEL.fullmatch(container["name"]):
            yield f"{where}: no valid name of a container"
        for port in container.get("ports", ()):
            if not PORT.fullmatch(port.get("name", "a")):
                yield f"{where}: no valid name of a port: {port['name']}"


def labels(objects: list[Object]) -> Iterator[str]:
    for each in objects:
        for key, value in each["metadata"].get("labels", {}).items():
            yield from _label(name_of(each), key, value)
    for each, pod in pods(objects):
        for key, value in pod["metadata"].get("labels", {}).items():
            yield from _label(f"pod of {name_of(each)}", key, value)


def _label(where: str, key: str, value: str) -> Iterator[str]:
    if not KEY.fullmatch(key):
        yield f"{where}: no valid label: {key}"
    if not isinstance(value, str) or not VALUE.fullmatch(value):
        yield f"{where}: no valid value of label {key}: {value!r}"


def unique(objects: list[Object]) -> Iterator[str]:
    seen = Counter(
        (each["apiVersion"], name_of(each), each["metadata"].get("namespace"))
        for each in objects
    )
    for (_, name, _), count in seen.items():
        if count > 1:
            yield f"{name}: is there {count} times"


def namespaces(objects: list[Object]) -> Iterator[str]:
    made = {each["metadata"]["name"] for each in of_kind(objects, "Namespace")}
    for each in objects:
        namespace = each["metadata"].get("namespace")
        if each["kind"] in CLUSTER_WIDE:
            if namespace is not None:
                yield f"{name_of(each)}: belongs to no namespace"
        elif namespace not in made:
            yield f"{name_of(each)}: its namespace {namespace} is not made here"


RULES = (object_names, container_and_port_names, labels, unique, namespaces)
