"""Each rule tells of what it is there for: a good overlay with one thing made wrong."""

# ruff: noqa: E501 (a table: a case a line)

from collections.abc import Callable
from typing import Any

import pytest

from tests.k8s.conftest import Object
from tests.k8s.rules import RULES, problems
from tests.k8s.rules.objects import find

POD = "spec/template/spec"
BOX = f"{POD}/containers/0"
DELETE = object()

# Overlay, object, where, what to put there, what is said then.
WRONG: list[tuple[str, str, str, Any, str]] = [
    ("cpu", "Deployment/mri-serving", "metadata/name", "Mri_Serving", "no valid name"),
    ("cpu", "Service/mri-serving", "metadata/name", "9-serving", "no valid name"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/name", "a_b", "name of a container"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/ports/0/name", "gRPC", "name of a port"),
    ("cpu", "Service/mri-serving", "metadata/labels", {"a b": "c"}, "no valid label"),
    ("cpu", "Service/mri-serving", "metadata/labels", {"a": "c/d"}, "value of label"),
    ("canary", "Service/mri-serving-canary", "metadata/name", "mri-serving", "2 times"),
    ("cpu", "Service/mri-serving", "metadata/namespace", "other", "not made here"),
    ("tune", "PriorityClass/mri-tuner-chief", "metadata/namespace", "a", "no namespace"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/volumeMounts/0/name", "a", "is no volume"),
    ("train", "Job/train", f"{BOX}/volumeMounts/1/mountPath", "/tmp", "two mounts"),
    ("train", "Job/train", f"{BOX}/volumeMounts/1/mountPath", "/tmp/a", "lies within"),
    ("train", "Job/train", f"{POD}/volumes/0/name", "runs", "two volumes"),
    ("train", "Job/train", f"{POD}/volumes/0", {"name": "data"}, "one source"),
    ("train", "Job/train", f"{BOX}/volumeMounts", [], "never mounted"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/ports/1/name", "grpc", "two ports grpc"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/ports/0/containerPort", 85000, "no valid port"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/startupProbe/exec", {"command": ["a"]}, "one handler"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/startupProbe/grpc/port", 9, "asks port 9"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/startupProbe/grpc/port", "grpc", "by number"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/livenessProbe/successThreshold", 2, "once or never"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/livenessProbe/timeoutSeconds", 0, "timeoutSeconds 0"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/livenessProbe/timeoutSeconds", 60, "longer than its period"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/lifecycle/preStop/sleep/seconds", 100, "sleeps through"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/lifecycle/preStop/exec", {}, "preStop needs one"),
    ("tune", "Job/tuner-worker", f"{BOX}/env/0/name", "KERASTUNER_TUNER_ID", "is there twice"),
    ("tune", "Job/tuner-worker", f"{BOX}/env/0/name", "OTHER", "before it is set"),
    ("tune", "Job/tuner-worker", f"{BOX}/env/0/valueFrom", DELETE, "needs one value"),
    ("tune", "Job/tuner-worker", f"{BOX}/env/3/value", 8000, "must be text"),
    ("shards", "Job/shards", f"{BOX}/env", [], "which is not set"),
    ("shards", "Job/shards", f"{BOX}/args/0", 8, "argument 8 must be text"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/resources/limits/cpu", DELETE, "no limit of cpu"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/resources/limits/memory", "2Gib", "valid quantity"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/resources/requests/memory", "3Gi", "more memory"),
    ("gpu", "Deployment/mri-serving", f"{BOX}/resources/requests/nvidia.com~gpu", "2", "as it is limited"),
    ("cpu", "Deployment/mri-serving", "spec/selector/matchLabels/track", "other", "its own pods"),
    ("canary", "Deployment/mri-serving", "spec/selector/matchLabels/track", DELETE, "takes the pods of"),
    ("cpu", "Deployment/mri-serving", f"{POD}/topologySpreadConstraints/0/labelSelector/matchLabels/track", "a", "other pods than its own"),
    ("cpu", "Deployment/mri-serving", f"{POD}/topologySpreadConstraints/0/whenUnsatisfiable", "No", "no such when"),
    ("cpu", "Deployment/mri-serving", "spec/strategy/rollingUpdate/maxSurge", 0, "neither add a pod"),
    ("cpu", "Deployment/mri-serving", "spec/strategy/type", "Recreate", "no rollingUpdate"),
    ("cpu", "Deployment/mri-serving", "spec/strategy/type", "Rolling", "no such strategy"),
    ("cpu", "Deployment/mri-serving", "spec/minReadySeconds", 500, "can be available"),
    ("cpu", "Deployment/mri-serving", f"{BOX}/startupProbe", DELETE, "has no startupProbe"),
    ("cpu", "Deployment/mri-serving", "spec/progressDeadlineSeconds", 300, "may have started"),
    ("train", "Job/train", f"{POD}/restartPolicy", "Always", "may not have restartPolicy"),
    ("train", "Job/train", f"{POD}/restartPolicy", "OnFailure", "needs restartPolicy Never"),
    ("train", "Job/train", "spec/backoffLimitPerIndex", 1, "is for Indexed Jobs"),
    ("train", "Job/train", "spec/parallelism", 2, "more pods at once"),
    ("train", "Job/train", "spec/activeDeadlineSeconds", DELETE, "hang for ever"),
    ("train", "Job/train", "spec/selector", {}, "makes a Job's selector"),
    ("train", "Job/train", "spec/podReplacementPolicy", DELETE, "two pods for one"),
    ("train", "Job/train", "spec/podReplacementPolicy", "TerminatingOrFailed", "podReplacementPolicy Failed"),
    ("train", "Job/train", "spec/podFailurePolicy/rules/0/onPodConditions", DELETE, "needs one condition"),
    ("train", "Job/train", "spec/podFailurePolicy/rules/0/action", "FailIndex", "needs backoffLimitPerIndex"),
    ("shards", "Job/shards", "spec/completions", DELETE, "needs completions"),
    ("shards", "Job/shards", "spec/maxFailedIndexes", 9, "without its limits"),
    ("tune", "Job/tuner-chief", "spec/podFailurePolicy/rules/1/onExitCodes/containerName", "a", "container that is not there"),
    ("tune", "Job/tuner-chief", "spec/podFailurePolicy/rules/1/onExitCodes/values", [0], "is no failure"),
    ("cpu", "Deployment/mri-serving-front", f"{POD}/volumes/0/configMap/name", "a", "no ConfigMap a"),
    ("cpu", "Deployment/mri-serving-front", f"{POD}/volumes/2/secret/secretName", "a", "no Secret a"),
    ("train", "PersistentVolumeClaim/runs", "metadata/name", "a", "no PersistentVolumeClaim runs"),
    ("train", "Job/train", f"{BOX}/volumeMounts/0/readOnly", DELETE, "data is read-only"),
    ("train", "ServiceAccount/mri-training", "metadata/name", "a", "no ServiceAccount"),
    ("tune", "PriorityClass/mri-tuner-chief", "metadata/name", "a", "no PriorityClass"),
    ("cpu", "Service/mri-serving", "spec/selector/track", "a", "pods of nothing"),
    ("cpu", "Service/mri-serving", "spec/ports/0/name", DELETE, "several ports need names"),
    ("cpu", "Service/mri-serving", "spec/ports/0/port", 8501, "two ports 8501"),
    ("cpu", "Service/mri-serving", "spec/ports/0/port", 0, "no valid port: 0"),
    ("cpu", "Service/mri-serving", "spec/ports/0/targetPort", "a", "leads to port a"),
    ("cpu", "NetworkPolicy/mri-serving", "spec/podSelector/matchLabels", {"a": "b"}, "is about no pod"),
    ("cpu", "NetworkPolicy/mri-serving-front", "spec/policyTypes", ["Ingress"], "not in policyTypes"),
    ("cpu", "NetworkPolicy/mri-serving", "spec/ingress/0/ports/0/port", "a", "lets in by a"),
    ("cpu", "NetworkPolicy/mri-serving-front", "spec/egress/0/to/0/podSelector/matchLabels", {"a": "b"}, "leads to no pod"),
    ("cpu", "NetworkPolicy/mri-serving-front", "spec/egress/0/ports/0/port", 9, "leads to port 9"),
    # kustomize's `labels` with includeSelectors does this to the peers.
    ("cpu", "NetworkPolicy/mri-serving", "spec/ingress/0/from/0/podSelector/matchLabels/track", "stable", "does not let it in"),
    ("gpu", "GRPCRoute/mri-serving", "spec/parentRefs/0/sectionName", "a", "no listener a"),
    ("gpu", "GRPCRoute/mri-serving", "spec/rules/0/matches", DELETE, "every call in"),
    ("gpu", "GRPCRoute/mri-serving", "spec/rules/0/backendRefs/0/weight", 0, "leads nowhere"),
    ("gpu", "GRPCRoute/mri-serving", "spec/rules/0/backendRefs/0/port", 1, "no mri-serving:1"),
    ("gpu", "Gateway/mri-serving", "spec/listeners/0/tls/certificateRefs/0/name", "a", "no Secret a"),
    ("gpu", "Gateway/mri-serving", "spec/tls/frontend/default/validation/caCertificateRefs/0/name", "a", "no ConfigMap a"),
    ("cpu", "ServiceMonitor/mri-serving", "spec/endpoints/0/port", "a", "has no a"),
    ("cpu", "HorizontalPodAutoscaler/mri-serving", "spec/minReplicas", 90, "from 90 to"),
    ("gpu", "ScaledObject/mri-serving", "spec/fallback/replicas", 90, "falls back to 90"),
    ("cpu", "HorizontalPodAutoscaler/mri-serving", "spec/scaleTargetRef/name", "a", "there is no a"),
    ("cpu", "Deployment/mri-serving", "spec/replicas", 2, "each apply sets"),
    ("cpu", "PodDisruptionBudget/mri-serving", "spec/minAvailable", 1, "needs one of"),
    ("cpu", "PodDisruptionBudget/mri-serving", "spec/maxUnavailable", 0, "no node be drained"),
    ("cpu", "PodDisruptionBudget/mri-serving", "spec/selector/matchLabels", {"a": "b"}, "about no pod"),
    ("canary", "PodDisruptionBudget/mri-serving", "spec/selector/matchLabels/track", DELETE, "2 budgets"),
    ("cpu", "Namespace/mri-contrast", "metadata/labels", {}, "does not enforce"),
    ("cpu", "NetworkPolicy/default-deny", "spec/policyTypes", ["Ingress"], "no policy denies"),
    ("train", "Job/train", f"{POD}/securityContext/runAsNonRoot", False, "may run as root"),
    ("train", "Job/train", f"{POD}/securityContext/seccompProfile", DELETE, "no seccomp"),
    ("train", "Job/train", f"{POD}/hostNetwork", True, "shares the node's"),
    ("train", "Job/train", f"{POD}/volumes/0", {"name": "data", "hostPath": {}}, "not allowed"),
    ("train", "Job/train", f"{POD}/automountServiceAccountToken", True, "carries a token"),
    ("train", "Job/train", f"{POD}/enableServiceLinks", DELETE, "variable for each Service"),
    ("train", "Job/train", f"{BOX}/securityContext/readOnlyRootFilesystem", False, "readOnlyRoot"),
    ("tune", "Job/tuner-chief", f"{BOX}/ports/0/hostPort", 8000, "takes a port of the node"),
    ("train", "Job/train", f"{BOX}/image", "mri-train", "neither tag nor digest"),
    ("train", "Job/train", f"{BOX}/image", "mri-train:latest", "can be any"),
]  # fmt: skip


def change(each: Any, path: str, value: Any) -> None:
    *before, last = [part.replace("~", "/") for part in path.split("/")]
    for part in before:
        each = each[int(part) if isinstance(each, list) else part]
    key = int(last) if isinstance(each, list) else last
    if value is DELETE:
        del each[key]
    else:
        each[key] = value


@pytest.mark.parametrize(
    ("overlay", "name", "path", "value", "said"),
    WRONG,
    ids=[f"{case[1]}-{case[4]}" for case in WRONG],
)
def test_what_is_wrong_is_told(
    objects_of: Callable[[str], list[Object]],
    overlay: str,
    name: str,
    path: str,
    value: Any,
    said: str,
):
    objects = objects_of(overlay)
    each = find(objects, *name.split("/"))
    assert each is not None
    change(each, path, value)
    assert [text for text in problems(objects) if said in text]


def test_two_autoscalers_of_one_deployment_are_told_of(
    objects_of: Callable[[str], list[Object]],
):
    objects = objects_of("gpu")
    one = find(objects_of("cpu"), "HorizontalPodAutoscaler", "mri-serving")
    assert one is not None
    assert [text for text in problems([*objects, one]) if "2 autoscalers" in text]


def test_every_rule_has_a_case(objects_of: Callable[[str], list[Object]]):
    spoke = set()
    for overlay, name, path, value, _ in WRONG:
        objects = objects_of(overlay)
        each = find(objects, *name.split("/"))
        assert each is not None
        change(each, path, value)
        spoke |= {rule for rule in RULES if list(rule(objects))}
    assert spoke == set(RULES)
