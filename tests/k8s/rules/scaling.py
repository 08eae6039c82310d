"""Autoscalers and disruption budgets."""

from collections import Counter
from collections.abc import Iterator

from tests.k8s.rules.objects import Object, find, name_of, of_kind, pods, selected

SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")


def limits(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, *SCALERS):
        least, most = _limits(each)
        if not 1 <= least <= most:
            yield f"{name_of(each)}: from {least} to {most} replicas"
        fallback = each["spec"].get("fallback", {"replicas": least})["replicas"]
        if not least <= fallback <= most:
            yield f"{name_of(each)}: falls back to {fallback} replicas"


def _limits(each: Object) -> tuple[int, int]:
    spec = each["spec"]
    if each["kind"] == "ScaledObject":
        return spec["minReplicaCount"], spec["maxReplicaCount"]
    return spec["minReplicas"], spec["maxReplicas"]


def targets(objects: list[Object]) -> Iterator[str]:
    scalers = of_kind(objects, *SCALERS)
    for each in scalers:
        reference = each["spec"]["scaleTargetRef"]
        target = find(objects, reference["kind"], reference["name"])
        if target is None:
            yield f"{name_of(each)}: there is no {reference['name']}"
        elif "replicas" in target["spec"]:
            yield f"{name_of(each)}: each apply sets {name_of(target)} back"
    counts = Counter(each["spec"]["scaleTargetRef"]["name"] for each in scalers)
    for name, count in counts.items():
        if count > 1:
            yield f"{name}: has {count} autoscalers, which undo each other's work"


def budgets(objects: list[Object]) -> Iterator[str]:
    found = of_kind(objects, "PodDisruptionBudget")
    for each in found:
        spec = each["spec"]
        if len(spec.keys() & {"minAvailable", "maxUnavailable"}) != 1:
            yield f"{name_of(each)}: needs one of minAvailable and maxUnavailable"
        if spec.get("maxUnavailable") == 0:
            yield f"{name_of(each)}: lets no node be drained"
        if not selected(objects, spec["selector"], each["metadata"]["namespace"]):
            yield f"{name_of(each)}: is about no pod"
    for workload, _ in pods(objects):
        count = sum(
            workload
            in [
                one
                for one, _ in selected(
                    objects, each["spec"]["selector"], each["metadata"]["namespace"]
                )
            ]
            for each in found
        )
        if count > 1:
            yield f"{name_of(workload)}: {count} budgets, so no pod can be evicted"


RULES = (limits, targets, budgets)
