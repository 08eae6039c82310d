"""Services, policies, routes."""

from collections import Counter
from collections.abc import Iterator

from tests.k8s.rules.objects import (
    Object,
    find,
    name_of,
    of_kind,
    ports_of,
    selected,
    selects,
)
from tests.k8s.rules.references import there


def services(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "Service"):
        spec, where = each["spec"], name_of(each)
        found = selected(
            objects, {"matchLabels": spec["selector"]}, each["metadata"]["namespace"]
        )
        if len(found) != 1:
            names = [name_of(workload) for workload, _ in found]
            yield f"{where}: takes pods of {names or 'nothing'}, not of one workload"
        ports = spec["ports"]
        if len(ports) > 1 and not all("name" in port for port in ports):
            yield f"{where}: several ports need names"
        for key in ("name", "port"):
            for value, count in Counter(port.get(key) for port in ports).items():
                if count > 1:
                    yield f"{where}: two ports {value}"
        for port in ports:
            if not 1 <= port["port"] <= 65535:
                yield f"{where}: no valid port: {port['port']}"
            target = port.get("targetPort", port["port"])
            for _, pod in found:
                if target not in (*ports_of(pod), *ports_of(pod).values()):
                    yield f"{where}: leads to port {target}, which no pod has"


def policies(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "NetworkPolicy"):
        spec, where = each["spec"], name_of(each)
        namespace = each["metadata"]["namespace"]
        found = selected(objects, spec["podSelector"], namespace)
        # The pods of a Gateway are its controller's, not ours.
        labels = spec["podSelector"].get("matchLabels", {})
        if labels and not found and not _of_a_gateway(labels):
            yield f"{where}: is about no pod"
        for kind, rules in (("Ingress", "ingress"), ("Egress", "egress")):
            if rules in spec and kind not in spec["policyTypes"]:
                yield f"{where}: has rules for {kind}, which is not in policyTypes"
        for rule in spec.get("ingress", ()):
            for port in rule.get("ports", ()):
                for _, pod in found:
                    if port["port"] not in (*ports_of(pod), *ports_of(pod).values()):
                        yield f"{where}: lets in by {port['port']}, which no pod has"
        for rule in spec.get("egress", ()):
            yield from _ways_out(objects, where, rule, namespace)


def _of_a_gateway(labels: dict[str, str]) -> bool:
    return "gateway.networking.k8s.io/gateway-name" in labels


def _ways_out(
    objects: list[Object], where: str, rule: Object, namespace: str
) -> Iterator[str]:
    for peer in rule.get("to", ()):
        if "namespaceSelector" in peer or "podSelector" not in peer:
            continue
        found = selected(objects, peer["podSelector"], namespace)
        if not found:
            yield f"{where}: leads to no pod"
        for port in rule.get("ports", ()):
            for _, pod in found:
                # By name it would be looked up in the pod that is asked.
                if port["port"] not in ports_of(pod).values():
                    yield f"{where}: leads to port {port['port']}, which no pod has"


def admitted(objects: list[Object]) -> Iterator[str]:
    """Where all is denied, who may go out must be let in there, and the other way."""
    all_policies = of_kind(objects, "NetworkPolicy")
    for each in all_policies:
        namespace = each["metadata"]["namespace"]
        for rule in each["spec"].get("egress", ()):
            for peer in rule.get("to", ()):
                if "podSelector" not in peer or "namespaceSelector" in peer:
                    continue
                for sender, pod in selected(
                    objects, each["spec"]["podSelector"], namespace
                ):
                    for target, other in selected(
                        objects, peer["podSelector"], namespace
                    ):
                        if not _lets_in(all_policies, namespace, pod, other):
                            yield (
                                f"{name_of(each)}: {name_of(sender)} may go out to "
                                f"{name_of(target)}, which does not let it in"
                            )


def _lets_in(
    all_policies: list[Object], namespace: str, sender: Object, target: Object
) -> bool:
    for policy in all_policies:
        spec = policy["spec"]
        labels = target["metadata"]["labels"]
        if policy["metadata"]["namespace"] != namespace:
            continue
        if not selects(spec["podSelector"], labels):
            continue
        for rule in spec.get("ingress", ()):
            peers = rule.get("from")
            if peers is None:
                return True
            for peer in peers:
                if "namespaceSelector" not in peer and selects(
                    peer.get("podSelector"), sender["metadata"]["labels"]
                ):
                    return True
    return False


def routes(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "GRPCRoute"):
        where = name_of(each)
        for parent in each["spec"]["parentRefs"]:
            gateway = find(objects, "Gateway", parent["name"])
            listeners = gateway["spec"]["listeners"] if gateway else []
            if parent["sectionName"] not in [one["name"] for one in listeners]:
                yield f"{where}: there is no listener {parent['sectionName']}"
        for rule in each["spec"]["rules"]:
            if not rule.get("matches"):
                yield f"{where}: a rule without matches lets every call in"
            if sum(backend.get("weight", 1) for backend in rule["backendRefs"]) == 0:
                yield f"{where}: a rule leads nowhere"
            for backend in rule["backendRefs"]:
                service = find(objects, "Service", backend["name"])
                ports = service["spec"]["ports"] if service else []
                if backend["port"] not in [port["port"] for port in ports]:
                    yield f"{where}: there is no {backend['name']}:{backend['port']}"


def gateways(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "Gateway"):
        where = name_of(each)
        for listener in each["spec"]["listeners"]:
            for reference in listener["tls"]["certificateRefs"]:
                if not there(objects, "Secret", reference["name"]):
                    yield f"{where}: there is no Secret {reference['name']}"
        checked = each["spec"]["tls"]["frontend"]["default"]["validation"]
        for reference in checked["caCertificateRefs"]:
            if not there(objects, reference["kind"], reference["name"]):
                yield f"{where}: there is no {reference['kind']} {reference['name']}"


def monitors(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "ServiceMonitor"):
        where = name_of(each)
        found = [
            service
            for service in of_kind(objects, "Service")
            if selects(each["spec"]["selector"], service["metadata"].get("labels", {}))
        ]
        for endpoint in each["spec"]["endpoints"]:
            for service in found:
                ports = [port.get("name") for port in service["spec"]["ports"]]
                if endpoint["port"] not in ports:
                    yield f"{where}: {name_of(service)} has no {endpoint['port']}"


RULES = (services, policies, admitted, routes, gateways, monitors)
