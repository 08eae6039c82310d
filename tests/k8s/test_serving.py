"""The servers' manifests beside the image, the client and the embedded server."""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mri_contrast import Client
from serving import versions
from serving.server import flags
from tests.k8s.conftest import SERVING, Object
from tests.k8s.rules.objects import find, of_kind

CONTAINER = Path(versions.__file__).parent / "container"
CONNECTION_AGE = "grpc.max_connection_age_ms"
# Seconds until a pod that stops is in no DNS cache: the endpoint goes, then kubeadm's
# CoreDNS lets answers live this long, then gRPC and Envoy look again this often.
ENDPOINT, DNS_CACHE, GRPC_LOOKS, ENVOY_LOOKS = 5, 30, 30, 5

Objects = Callable[[str], list[Object]]


@pytest.fixture(params=SERVING)
def objects(request: pytest.FixtureRequest, objects_of: Objects) -> list[Object]:
    return objects_of(request.param)


@pytest.fixture
def servers(objects: list[Object]) -> list[Object]:
    """The Deployments of TF Serving, stable first."""
    return [
        each
        for each in of_kind(objects, "Deployment")
        if each["metadata"]["name"] in ("mri-serving", "mri-serving-canary")
    ]


def container(deployment: Object) -> Object:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


def given(deployment: Object) -> dict[str, str]:
    """The server's flags, by name."""
    arguments = container(deployment)["args"]
    return dict(flag.removeprefix("--").split("=", 1) for flag in arguments)


def test_ports_are_those_of_the_flags_and_of_the_embedded_server(servers: list[Object]):
    embedded = flags.parse(["--model_base_path=x"])
    for each in servers:
        ports = {one["name"]: one["containerPort"] for one in container(each)["ports"]}
        assert ports == {"grpc": embedded.port, "rest": embedded.rest_api_port}
        assert ports["grpc"] == int(given(each)["port"])
        assert ports["rest"] == int(given(each)["rest_api_port"])


def test_services_show_clients_every_pod(objects: list[Object], servers: list[Object]):
    for each in servers:
        service = find(objects, "Service", each["metadata"]["name"])
        assert service is not None
        assert service["spec"]["clusterIP"] == "None"


def test_readiness_asks_the_model_and_the_others_the_process(servers: list[Object]):
    for each in servers:
        box, flag = container(each), given(each)
        # The status of a model is 200 in any state: only metadata needs the model.
        model = f"/v1/models/{versions.NAME}/labels/{versions.STABLE}/metadata"
        assert box["readinessProbe"]["httpGet"] == {"path": model, "port": "rest"}
        for name in ("startupProbe", "livenessProbe"):
            if "ssl_config_file" in flag:  # the kubelet's gRPC probes speak no TLS
                asked = {"path": f"/v1/models/{versions.NAME}", "port": "rest"}
                assert box[name]["httpGet"] == asked
            else:
                assert box[name]["grpc"] == {"port": int(flag["port"])}
                assert flag["enable_grpc_healthcheck_service"] == "true"


def test_no_model_but_mri_contrast_is_named(objects: list[Object]):
    text = json.dumps(objects)
    assert set(re.findall(r"/v1/models/(\w+)", text)) == {versions.NAME}
    assert set(re.findall(r'model_name=\\+"(\w+)', text)) <= {versions.NAME}
    assert "--model_name" not in text, "the image's models.config names the model"


def test_the_server_is_run_as_its_image_runs_it(servers: list[Object]):
    text = (CONTAINER / "Dockerfile").read_text()
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    (user,) = re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    baked = dict(re.findall(r'"--(\w+)=([^"]+)"', text))
    for each in servers:
        assert json.loads(entry) == container(each)["command"]
        assert baked.items() <= given(each).items()
        security = each["spec"]["template"]["spec"]["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == tuple(map(int, user))
        mounts = [mount["mountPath"] for mount in container(each)["volumeMounts"]]
        for name, value in given(each).items():
            if name.endswith("_file") and str(Path(value).parent) not in mounts:
                assert f" {value}\n" in text, "the image holds no such file"


def test_the_server_counts_its_own_cores(servers: list[Object]):
    for each in servers:
        cores = int(container(each)["resources"]["limits"]["cpu"])
        assert int(given(each)["tensorflow_intra_op_parallelism"]) == cores
        assert int(given(each)["tensorflow_inter_op_parallelism"]) == cores
        assert int(given(each)["grpc_max_threads"]) == 4 * cores


def test_requests_are_the_limits(servers: list[Object]):
    for each in servers:
        resources = container(each)["resources"]
        assert resources["requests"] == resources["limits"]


def test_a_stopped_pod_outlives_every_call_that_may_reach_it(servers: list[Object]):
    deadline = inspect.signature(Client).parameters["timeout"].default
    for each in servers:
        options = given(each)["grpc_channel_arguments"].split(",")
        age = dict(option.split("=") for option in options)
        # gRPC adds up to a tenth, so that not all connections end at once.
        connection = 1.1 * int(age[CONNECTION_AGE]) / 1000
        last = ENDPOINT + DNS_CACHE + GRPC_LOOKS + connection + deadline
        grace = each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace >= last
        assert int(age["grpc.max_connection_age_grace_ms"]) / 1000 > deadline


def test_a_stopped_front_outlives_its_drain(objects_of: Objects):
    front = find(objects_of("cpu"), "Deployment", "mri-serving-front")
    assert front is not None
    pod = front["spec"]["template"]["spec"]
    (box,) = pod["containers"]
    (_, _, script) = box["lifecycle"]["preStop"]["exec"]["command"]
    before, after = map(int, re.findall(r"^sleep (\d+)$", script, re.MULTILINE))
    drain = int(box["args"][box["args"].index("--drain-time-s") + 1])
    assert before >= ENDPOINT
    assert after > drain
    deadline = inspect.signature(Client).parameters["timeout"].default
    assert pod["terminationGracePeriodSeconds"] >= before + after + deadline


def test_servers_on_gpus_need_no_spare_gpu(objects_of: Objects):
    server = find(objects_of("gpu"), "Deployment", "mri-serving")
    assert server is not None
    assert server["spec"]["strategy"]["rollingUpdate"] == {
        "maxSurge": 0,
        "maxUnavailable": 1,
    }
    assert container(server)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    (toleration,) = server["spec"]["template"]["spec"]["tolerations"]
    assert toleration["key"] == "nvidia.com/gpu"


def test_only_marked_clients_and_monitoring_are_let_in(objects: list[Object]):
    policy = find(objects, "NetworkPolicy", "mri-serving")
    assert policy is not None
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert not policy["spec"].get("egress")
    peers = {
        rule["ports"][0]["port"]: rule["from"] for rule in policy["spec"]["ingress"]
    }
    marked = {"matchLabels": {"mri-serving-client": "true"}}
    assert peers["grpc"] == [{"podSelector": marked}, {"namespaceSelector": marked}]
    (scraper,) = peers["rest"]
    assert scraper["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "monitoring"
    }


def test_routes_let_in_questions_and_nothing_that_changes_the_server(
    objects_of: Objects,
):
    route = find(objects_of("gpu"), "GRPCRoute", "mri-serving")
    assert route is not None
    (rule,) = route["spec"]["rules"]
    allowed = {
        (match["method"]["service"], match["method"].get("method"))
        for match in rule["matches"]
    }
    assert allowed == {
        ("tensorflow.serving.PredictionService", None),
        ("tensorflow.serving.ModelService", "GetModelStatus"),
        ("grpc.health.v1.Health", "Check"),
    }


@pytest.mark.parametrize("name", ["canary", "gateway-canary"])
def test_a_canary_has_an_image_of_its_own_and_stands_still(
    name: str, objects_of: Objects
):
    objects = objects_of(name)
    stable = find(objects, "Deployment", "mri-serving")
    canary = find(objects, "Deployment", "mri-serving-canary")
    assert stable is not None
    assert canary is not None
    assert container(stable)["image"] == "mri-serving:unset"
    assert container(canary)["image"] == "mri-serving-canary:unset"
    assert canary["spec"]["replicas"] == 1
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in of_kind(objects, "HorizontalPodAutoscaler")
    }
    assert scaled == {"mri-serving"}


def test_a_canary_at_a_gateway_gets_one_call_in_twenty(objects_of: Objects):
    route = find(objects_of("gateway-canary"), "GRPCRoute", "mri-serving")
    assert route is not None
    (rule,) = route["spec"]["rules"]
    weights = {each["name"]: each["weight"] for each in rule["backendRefs"]}
    assert weights == {"mri-serving": 95, "mri-serving-canary": 5}
