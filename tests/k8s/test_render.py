"""What a cluster would refuse, or run otherwise than meant, checked without one."""

import inspect
import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mri_contrast import Client
from serving import versions
from serving.server import flags

K8S = Path(__file__).parents[2] / "k8s" / "serving"
CONTAINER = Path(versions.__file__).parent / "container"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
# Of tensorflow_model_server 2.20 (model_servers/main.cc).
FLAGS = {
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_batching",
    "enable_grpc_healthcheck_service",
    "enable_model_warmup",
    "file_system_poll_wait_seconds",
    "grpc_channel_arguments",
    "grpc_max_threads",
    "max_num_load_retries",
    "model_base_path",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "model_name",
    "monitoring_config_file",
    "port",
    "rest_api_num_threads",
    "rest_api_port",
    "rest_api_timeout_in_ms",
    "ssl_config_file",
    "tensorflow_inter_op_parallelism",
    "tensorflow_intra_op_parallelism",
}

Object = dict[str, Any]


def kubectl(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *arguments], input=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(text: str) -> list[Object]:
    """The JSON objects that kubectl prints one after the other."""
    decoder, objects = json.JSONDecoder(), []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        objects.append(value)
        text = text[end:]
    return objects


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    if shutil.which("kubectl") is None:
        missing = (
            "kubectl is not installed; python3.11 .ci/install-kubectl FOLDER unpacks "
            "one, put FOLDER on the PATH"
        )
        if os.environ.get("MRI_REQUIRE_TOOLS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="module", params=["base", "overlays/local"])
def yaml(request: pytest.FixtureRequest, tools: None) -> str:
    return kubectl("kustomize", str(K8S / request.param))


@pytest.fixture(scope="module")
def objects(yaml: str) -> list[Object]:
    # Changes nothing: there is no such annotation. kubectl is the YAML parser here.
    return as_json(kubectl("annotate", "--local", "-f-", "-ojson", "none-", given=yaml))


@pytest.fixture(scope="module")
def of_kind(objects: list[Object]) -> dict[str, Object]:
    kinds = {each["kind"]: each for each in objects}
    assert len(kinds) == len(objects), "two objects of one kind: tell them apart here"
    return kinds


@pytest.fixture(scope="module")
def deployment(of_kind: dict[str, Object]) -> Object:
    return of_kind["Deployment"]["spec"]


@pytest.fixture(scope="module")
def pod(deployment: Object) -> Object:
    return deployment["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: Object) -> Object:
    (only,) = pod["containers"]
    return only


@pytest.fixture(scope="module")
def given(container: Object) -> dict[str, str]:
    """The server's flags, by name."""
    return dict(flag.removeprefix("--").split("=", 1) for flag in container["args"])


def agree(selector: Object, labels: dict[str, str]) -> bool:
    assert set(selector) == {"matchLabels"}
    return selector["matchLabels"].items() <= labels.items()


def test_all_that_serving_needs_is_there_once(of_kind: dict[str, Object]):
    assert set(of_kind) == {
        "Namespace",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
    }


def test_names_are_such_as_dns_takes_and_the_namespace_is_one(objects: list[Object]):
    namespace = next(each for each in objects if each["kind"] == "Namespace")
    for each in objects:
        assert LABEL.fullmatch(each["metadata"]["name"])
        if each is not namespace:
            assert each["metadata"]["namespace"] == namespace["metadata"]["name"]


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """Where `after` lacks or changes what `before` says."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            place
            for name, value in before.items()
            for place in lost(value, after.get(name), f"{path}/{name}")
        ]
    if isinstance(before, list) and isinstance(after, list):
        pairs = itertools.zip_longest(before, after)
        return [
            place
            for index, (one, other) in enumerate(pairs)
            for place in lost(one, other, f"{path}/{index}")
        ]
    return [] if before == after else [path]


def test_the_api_knows_every_field_of_the_deployment(
    of_kind: dict[str, Object], deployment: Object, container: Object
):
    # `set image` decodes workloads into the API's own types: a wrong quantity is
    # refused there, and a field that does not exist is left out of what comes back.
    (typed,) = as_json(
        kubectl(
            *("set", "image", "--local", "-f-", "-ojson", f"{container['name']}=new"),
            given=json.dumps(of_kind["Deployment"]),
        )
    )
    assert lost(deployment, typed["spec"]) == ["/template/spec/containers/0/image"]


def test_labels_and_selectors_agree(of_kind: dict[str, Object], deployment: Object):
    labels = deployment["template"]["metadata"]["labels"]
    assert agree(deployment["selector"], labels)
    assert agree(of_kind["PodDisruptionBudget"]["spec"]["selector"], labels)
    assert agree(of_kind["NetworkPolicy"]["spec"]["podSelector"], labels)
    assert of_kind["Service"]["spec"]["selector"].items() <= labels.items()
    for spread in deployment["template"]["spec"]["topologySpreadConstraints"]:
        assert agree(spread["labelSelector"], labels)


def test_ports_are_the_same_for_server_service_policy_and_container(
    of_kind: dict[str, Object], container: Object, given: dict[str, str]
):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": int(given["port"]), "rest": int(given["rest_api_port"])}
    embedded = flags.parse(["--model_base_path=x"])
    assert ports == {"grpc": embedded.port, "rest": embedded.rest_api_port}
    service = of_kind["Service"]["spec"]["ports"]
    assert {port["name"]: port["port"] for port in service} == ports
    assert all(port["targetPort"] == port["name"] for port in service)
    rules = of_kind["NetworkPolicy"]["spec"]["ingress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == set(ports)


def test_the_service_shows_clients_every_pod(of_kind: dict[str, Object]):
    assert of_kind["Service"]["spec"]["clusterIP"] == "None"


def test_probes_ask_the_ports_and_readiness_asks_the_model(
    container: Object, given: dict[str, str]
):
    for name in ("startupProbe", "livenessProbe"):
        assert container[name]["grpc"] == {"port": int(given["port"])}
    assert given["enable_grpc_healthcheck_service"] == "true"
    asked = container["readinessProbe"]["httpGet"]
    # The status of a model is 200 in any state: only metadata needs the model itself.
    model = f"/v1/models/{versions.NAME}/labels/{versions.STABLE}/metadata"
    assert asked == {"path": model, "port": "rest"}


def test_no_model_but_mri_contrast_is_named(yaml: str):
    assert set(re.findall(r"/v1/models/(\w+)", yaml)) == {"mri_contrast"}
    assert "--model_name" not in yaml, "the image's models.config names the model"


def test_every_flag_is_one_of_tf_serving(given: dict[str, str]):
    assert given.keys() <= FLAGS


def test_the_server_is_run_as_its_image_runs_it(
    container: Object, given: dict[str, str]
):
    text = (CONTAINER / "Dockerfile").read_text()
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    assert json.loads(entry) == container["command"]
    baked = dict(re.findall(r'"--(\w+)=([^"]+)"', text))
    assert baked.items() <= given.items()
    for name, value in given.items():
        if name.endswith("_file"):
            assert f" {value}\n" in text, "the image holds no such file"


def test_the_server_counts_its_own_cores(container: Object, given: dict[str, str]):
    cores = int(container["resources"]["limits"]["cpu"])
    assert int(given["tensorflow_intra_op_parallelism"]) == cores
    assert int(given["tensorflow_inter_op_parallelism"]) == cores
    assert int(given["grpc_max_threads"]) == 4 * cores


def test_requests_are_the_limits(container: Object):
    resources = container["resources"]
    assert set(resources["limits"]) == {"cpu", "memory"}
    assert resources["requests"] == resources["limits"]


def test_pods_pass_as_restricted(
    of_kind: dict[str, Object], pod: Object, container: Object
):
    labels = of_kind["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    for volume in pod["volumes"]:
        assert volume.keys() - {"name"} <= RESTRICTED_VOLUMES
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_pods_run_as_the_user_of_the_image(pod: Object):
    text = (CONTAINER / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    security = pod["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == tuple(map(int, user))


def test_mounts_and_volumes_agree(pod: Object, container: Object):
    mounted = [mount["name"] for mount in container["volumeMounts"]]
    assert sorted(mounted) == sorted(volume["name"] for volume in pod["volumes"])


def test_a_stopped_pod_outlives_the_calls_it_took(pod: Object, container: Object):
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    deadline = inspect.signature(Client).parameters["timeout"].default
    assert sleep > 0
    assert pod["terminationGracePeriodSeconds"] > sleep + deadline


def test_a_model_that_does_not_load_ends_the_rollout(
    deployment: Object, container: Object
):
    probe = container["startupProbe"]
    starting = probe["periodSeconds"] * probe["failureThreshold"]
    assert deployment["progressDeadlineSeconds"] > starting


def test_the_image_has_a_tag_or_digest_and_never_latest(container: Object):
    name, _, tag = container["image"].partition(":")
    assert name
    assert tag
    assert tag != "latest"


def test_the_local_overlay_names_a_version_and_the_base_none():
    images = {
        folder: re.findall(r"image: (\S+)", kubectl("kustomize", str(K8S / folder)))
        for folder in ("base", "overlays/local")
    }
    assert images["base"] == ["mri-serving:unset"]
    (local,) = images["overlays/local"]
    assert re.fullmatch(r"mri-serving:[1-9]\d*", local)


def test_only_marked_clients_and_monitoring_are_let_in(of_kind: dict[str, Object]):
    policy = of_kind["NetworkPolicy"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert not policy.get("egress")
    peers = {rule["ports"][0]["port"]: rule["from"] for rule in policy["ingress"]}
    marked = {"matchLabels": {"mri-serving-client": "true"}}
    assert peers["grpc"] == [{"podSelector": marked}, {"namespaceSelector": marked}]
    (scraper,) = peers["rest"]
    assert scraper["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "monitoring"
    }


def test_a_node_can_be_drained(of_kind: dict[str, Object], deployment: Object):
    budget = of_kind["PodDisruptionBudget"]["spec"]
    assert 1 <= budget["maxUnavailable"] <= deployment["replicas"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
