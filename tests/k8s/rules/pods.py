"""What is inside a pod: mounts, ports, probes, variables, quantities."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import PurePosixPath

from tests.k8s.rules.objects import Object, containers, name_of, pods, ports_of

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
HANDLERS = {"exec", "httpGet", "tcpSocket", "grpc"}
HOOKS = {"exec", "httpGet", "sleep", "tcpSocket"}
QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
SCALE = {"": 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9} | {
    f"{letter}i": 1024 ** (power + 1) for power, letter in enumerate("KMGTPE")
}


def quantity(text: object) -> Decimal | None:
    """The value of a resource quantity; None where it is none."""
    match = QUANTITY.fullmatch(str(text))
    if match is None or (match[2] or "") not in SCALE:
        return None
    return Decimal(match[1]) * SCALE[match[2] or ""]


def mounts(objects: list[Object]) -> Iterator[str]:
    for where, pod, container in containers(objects):
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", ())}
        paths = [
            PurePosixPath(m["mountPath"]) for m in container.get("volumeMounts", ())
        ]
        for mount in container.get("volumeMounts", ()):
            if mount["name"] not in volumes:
                yield f"{where}: mounts {mount['name']}, which is no volume"
        for path, count in Counter(paths).items():
            if count > 1:
                yield f"{where}: two mounts at {path}"
            # The runtime cannot make a folder within a volume that is read-only.
            for other in set(paths) - {path}:
                if path.is_relative_to(other):
                    yield f"{where}: mount {path} lies within mount {other}"


def volumes(objects: list[Object]) -> Iterator[str]:
    for each, pod in pods(objects):
        found = pod["spec"].get("volumes", ())
        for name, count in Counter(volume["name"] for volume in found).items():
            if count > 1:
                yield f"{name_of(each)}: two volumes {name}"
        mounted = {
            mount["name"]
            for _, inside, container in containers([each])
            for mount in container.get("volumeMounts", ())
        }
        for volume in found:
            if len(volume) != 2:
                yield f"{name_of(each)}: volume {volume['name']} needs one source"
            if volume["name"] not in mounted:
                yield f"{name_of(each)}: volume {volume['name']} is never mounted"


def container_ports(objects: list[Object]) -> Iterator[str]:
    for each, pod in pods(objects):
        all_ports = [
            port
            for container in pod["spec"]["containers"]
            for port in container.get("ports", ())
        ]
        for key in ("name", "containerPort"):
            for value, count in Counter(port[key] for port in all_ports).items():
                if count > 1:
                    yield f"{name_of(each)}: two ports {value}"
        for port in all_ports:
            if not 1 <= port["containerPort"] <= 65535:
                yield f"{name_of(each)}: no valid port: {port['containerPort']}"


def probes(objects: list[Object]) -> Iterator[str]:
    for where, pod, container in containers(objects):
        for name in PROBES:
            probe = container.get(name)
            if probe is None:
                continue
            handlers = sorted(probe.keys() & HANDLERS)
            if len(handlers) != 1:
                yield f"{where}: {name} needs one handler, has {handlers}"
            for handler in handlers:
                yield from _probe_port(f"{where}: {name}", handler, probe[handler], pod)
            if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
                yield f"{where}: {name} succeeds once or never"
            for field in ("periodSeconds", "timeoutSeconds", "failureThreshold"):
                if probe.get(field, 1) < 1:
                    yield f"{where}: {name} has {field} {probe[field]}"
            if probe.get("timeoutSeconds", 1) > probe.get("periodSeconds", 10):
                yield f"{where}: {name} takes longer than its period"


def _probe_port(where: str, handler: str, asked: Object, pod: Object) -> Iterator[str]:
    if handler == "exec":
        return
    port, known = asked["port"], ports_of(pod)
    if handler == "grpc" and not isinstance(port, int):
        yield f"{where}: gRPC probes name their port by number"
    elif port not in known and port not in known.values():
        yield f"{where}: asks port {port}, which no container has"


def hooks(objects: list[Object]) -> Iterator[str]:
    for where, pod, container in containers(objects):
        for name, hook in container.get("lifecycle", {}).items():
            if len(hook) != 1 or not hook.keys() <= HOOKS:
                yield f"{where}: {name} needs one handler, has {sorted(hook)}"
            grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
            if hook.get("sleep", {}).get("seconds", 0) >= grace:
                yield f"{where}: {name} sleeps through the {grace} s of grace"


def variables(objects: list[Object]) -> Iterator[str]:
    for where, _, container in containers(objects):
        known: list[str] = []
        for variable in container.get("env", ()):
            if variable["name"] in known:
                yield f"{where}: variable {variable['name']} is there twice"
            for used in re.findall(r"\$\((\w+)\)", str(variable.get("value", ""))):
                if used not in known:
                    yield f"{where}: {variable['name']} uses {used} before it is set"
            if len(variable.keys() & {"value", "valueFrom"}) != 1:
                yield f"{where}: variable {variable['name']} needs one value"
            if not isinstance(variable.get("value", ""), str):
                yield f"{where}: variable {variable['name']} must be text"
            known.append(variable["name"])
        for text in (*container.get("command", ()), *container.get("args", ())):
            if not isinstance(text, str):
                yield f"{where}: argument {text} must be text"
                continue
            for used in re.findall(r"(?<!\$)\$\((\w+)\)", text):
                if used not in known:
                    yield f"{where}: an argument uses {used}, which is not set"


def resources(objects: list[Object]) -> Iterator[str]:
    for where, _, container in containers(objects):
        requests = container.get("resources", {}).get("requests", {})
        limits = container.get("resources", {}).get("limits", {})
        for name in ("cpu", "memory"):
            if name not in requests or name not in limits:
                yield f"{where}: no request or no limit of {name}"
        for name, text in (*requests.items(), *limits.items()):
            if quantity(text) is None:
                yield f"{where}: no valid quantity of {name}: {text}"
        for name in requests.keys() & limits.keys():
            least, most = quantity(requests[name]), quantity(limits[name])
            if least is not None and most is not None and least > most:
                yield f"{where}: requests more {name} than its limit"
        # Other resources are whole, and requested as limited.
        for name in limits.keys() | requests.keys():
            if "/" in name and requests.get(name, limits.get(name)) != limits.get(name):
                yield f"{where}: {name} must be requested as it is limited"


RULES = (mounts, volumes, container_ports, probes, hooks, variables, resources)
