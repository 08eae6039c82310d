"""Deployments and Jobs."""

from collections.abc import Iterator
from itertools import combinations

from tests.k8s.rules.objects import (
    Object,
    labels_of,
    name_of,
    of_kind,
    pods,
    selects,
)


def selectors(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "Deployment"):
        labels = labels_of(each["spec"]["template"])
        if not selects(each["spec"]["selector"], labels):
            yield f"{name_of(each)}: its selector does not take its own pods"
    for one, other in combinations(of_kind(objects, "Deployment"), 2):
        if one["metadata"].get("namespace") != other["metadata"].get("namespace"):
            continue
        for chooser, chosen in ((one, other), (other, one)):
            labels = labels_of(chosen["spec"]["template"])
            if selects(chooser["spec"]["selector"], labels):
                yield f"{name_of(chooser)}: takes the pods of {name_of(chosen)} too"


def spreads(objects: list[Object]) -> Iterator[str]:
    for each, pod in pods(objects):
        for spread in pod["spec"].get("topologySpreadConstraints", ()):
            if not selects(spread["labelSelector"], labels_of(pod)):
                yield f"{name_of(each)}: spreads other pods than its own"
            if spread["whenUnsatisfiable"] not in ("ScheduleAnyway", "DoNotSchedule"):
                yield f"{name_of(each)}: no such whenUnsatisfiable"


def strategies(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "Deployment"):
        spec = each["spec"]
        strategy = spec.get("strategy", {})
        rolling = strategy.get("rollingUpdate")
        kind = strategy.get("type", "RollingUpdate")
        if kind not in ("RollingUpdate", "Recreate"):
            yield f"{name_of(each)}: no such strategy: {kind}"
        if kind == "Recreate" and rolling is not None:
            yield f"{name_of(each)}: Recreate has no rollingUpdate"
        if (
            rolling
            and not rolling.get("maxSurge")
            and not rolling.get("maxUnavailable")
        ):
            yield f"{name_of(each)}: can neither add a pod nor take one away"
        if spec.get("progressDeadlineSeconds", 600) <= spec.get("minReadySeconds", 0):
            yield f"{name_of(each)}: gives up before a pod can be available"


def start_ups(objects: list[Object]) -> Iterator[str]:
    """A pod that never starts must end the rollout, and not before it may start."""
    for each in of_kind(objects, "Deployment"):
        deadline = each["spec"].get("progressDeadlineSeconds", 600)
        for container in each["spec"]["template"]["spec"]["containers"]:
            probe = container.get("startupProbe")
            if probe is None:
                yield f"{name_of(each)} {container['name']}: has no startupProbe"
            elif probe["periodSeconds"] * probe["failureThreshold"] >= deadline:
                yield f"{name_of(each)}: gives up before its pods may have started"


def restarts(objects: list[Object]) -> Iterator[str]:
    for each, pod in pods(objects):
        given = pod["spec"].get("restartPolicy", "Always")
        allowed = {"Deployment": ("Always",), "Job": ("Never", "OnFailure")}
        if given not in allowed[each["kind"]]:
            yield f"{name_of(each)}: may not have restartPolicy {given}"


def jobs(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "Job"):
        spec, where = each["spec"], name_of(each)
        indexed = spec.get("completionMode") == "Indexed"
        if indexed and not spec.get("completions"):
            yield f"{where}: an Indexed Job needs completions"
        if "backoffLimitPerIndex" in spec and not indexed:
            yield f"{where}: backoffLimitPerIndex is for Indexed Jobs"
        if "maxFailedIndexes" in spec and (
            "backoffLimitPerIndex" not in spec
            or spec["maxFailedIndexes"] > spec.get("completions", 1)
        ):
            yield f"{where}: maxFailedIndexes without its limits"
        if spec.get("parallelism", 1) > spec.get("completions", 1):
            yield f"{where}: more pods at once than are needed"
        if "activeDeadlineSeconds" not in spec:
            yield f"{where}: may hang for ever"
        if "manualSelector" in spec or "selector" in spec:
            yield f"{where}: the API server makes a Job's selector"


def failure_policies(objects: list[Object]) -> Iterator[str]:
    for each in of_kind(objects, "Job"):
        spec, where = each["spec"], name_of(each)
        policy = spec.get("podFailurePolicy")
        if policy is None:
            continue
        pod = spec["template"]["spec"]
        if pod.get("restartPolicy") != "Never":
            yield f"{where}: podFailurePolicy needs restartPolicy Never"
        if spec.get("podReplacementPolicy", "Failed") != "Failed":
            yield f"{where}: podFailurePolicy needs podReplacementPolicy Failed"
        names = {container["name"] for container in pod["containers"]}
        for rule in policy["rules"]:
            if len(rule.keys() & {"onExitCodes", "onPodConditions"}) != 1:
                yield f"{where}: a rule of podFailurePolicy needs one condition"
            if rule["action"] == "FailIndex" and "backoffLimitPerIndex" not in spec:
                yield f"{where}: FailIndex needs backoffLimitPerIndex"
            codes = rule.get("onExitCodes", {"values": [1], "operator": "NotIn"})
            if codes.get("containerName", next(iter(names))) not in names:
                yield f"{where}: a rule is about a container that is not there"
            if codes["operator"] == "In" and 0 in codes["values"]:
                yield f"{where}: exit code 0 is no failure"


def durations(objects: list[Object]) -> Iterator[str]:
    """Two processes must never write one run or have one worker's name."""
    for each in of_kind(objects, "Job"):
        if each["spec"].get("podReplacementPolicy") != "Failed":
            yield f"{name_of(each)}: may have two pods for one piece of work"


RULES = (
    selectors,
    spreads,
    strategies,
    start_ups,
    restarts,
    jobs,
    failure_policies,
    durations,
)
