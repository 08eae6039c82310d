"""The container files: as the servers read them, and as their linters want them."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
)
from tensorflow_serving.config import model_server_config_pb2

from serving import warmup
from serving.server import flags
from serving.versions import STABLE, Registry, models_config

CONTAINER = Path(warmup.__file__).parent / "container"
MONITORING = CONTAINER.parents[1] / "k8s/serving/components/monitoring"
DASHBOARD = MONITORING / "dashboards/mri-serving.json"
PROVISIONING = CONTAINER / "grafana/provisioning"
TOOLS = "python3.11 -m venv FOLDER && FOLDER/bin/pip install -r .ci/containers.lock"

# Of tensorflow_model_server 2.20, and the embedded server's own.
METRICS = {
    ":tensorflow:cc:saved_model:load_attempt_count",
    ":tensorflow:serving:batching_session:queuing_latency_bucket",
    ":tensorflow:serving:request_count",
    ":tensorflow:serving:request_example_counts_count",
    ":tensorflow:serving:request_example_counts_sum",
    ":tensorflow:serving:request_latency_bucket",
    ":tensorflow:serving:runtime_latency_bucket",
    "mri_serving_call_seconds_bucket",
    "mri_serving_calls_total",
    "mri_serving_confidence_bucket",
    "mri_serving_models_loaded",
    "mri_serving_verdicts_total",
    "up",
}
READ_YAML = """
import json, sys
from ruamel.yaml import YAML
json.dump(YAML(typ="safe").load(sys.stdin), sys.stdout)
"""

Needed = Callable[[str, str], str]


@pytest.fixture
def yaml(needed: Needed) -> Callable[[Path], Any]:
    """Reads a YAML file by the parser that comes with the linters."""
    python = Path(needed("check-jsonschema", TOOLS)).with_name("python")

    def read(path: Path) -> Any:
        done = subprocess.run(
            [python, "-c", READ_YAML],
            input=path.read_text(),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    return read


def message(name: str, *fields: tuple[str, int, str]) -> Any:
    """A protobuf message that the wheel of TF Serving's messages lacks."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", syntax="proto3")
    kinds = {
        "bool": field.TYPE_BOOL,
        "string": field.TYPE_STRING,
        "int64": field.TYPE_INT64,
    }
    made = file.message_type.add(name=name)
    for label, number, kind in fields:
        added = made.field.add(name=label, number=number, label=field.LABEL_OPTIONAL)
        if kind == "sizes":
            added.type, added.label = field.TYPE_INT64, field.LABEL_REPEATED
        elif kind in kinds:
            added.type = kinds[kind]
        else:
            added.type, added.type_name = field.TYPE_MESSAGE, f".{name}.{kind}"
            inner = made.nested_type.add(name=kind)
            for each, type_ in NESTED[kind]:
                inner.field.add(
                    name=each,
                    number=len(inner.field) + 1,
                    label=field.LABEL_OPTIONAL,
                    type=kinds[type_],
                )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()


NESTED = {
    "PrometheusConfig": [("enable", "bool"), ("path", "string")],
    "Batch": [("value", "int64")],
    "Timeout": [("value", "int64")],
    "Enqueued": [("value", "int64")],
    "Threads": [("value", "int64")],
}


def test_batches_have_sizes_that_were_warmed_up() -> None:
    batching = message(
        "BatchingParameters",
        ("max_batch_size", 1, "Batch"),
        ("batch_timeout_micros", 2, "Timeout"),
        ("max_enqueued_batches", 3, "Enqueued"),
        ("num_batch_threads", 4, "Threads"),
        ("allowed_batch_sizes", 6, "sizes"),
    )
    text_format.Parse((CONTAINER / "batching.config").read_text(), batching)
    sizes = tuple(batching.allowed_batch_sizes)
    assert sizes == warmup.ALLOWED_SIZES
    assert sizes[-1] == batching.max_batch_size.value, "TF Serving refuses to load else"


def test_metrics_are_where_prometheus_asks(yaml: Callable[[Path], Any]) -> None:
    monitoring = message(
        "MonitoringConfig", ("prometheus_config", 1, "PrometheusConfig")
    )
    text_format.Parse((CONTAINER / "monitoring.config").read_text(), monitoring)
    assert monitoring.prometheus_config.enable
    asked = yaml(CONTAINER / "prometheus.yml")["scrape_configs"][0]
    assert asked["metrics_path"] == monitoring.prometheus_config.path
    (target,) = asked["static_configs"][0]["targets"]
    port = flags.parse(["--model_base_path=x"]).rest_api_port
    assert target == f"serving:{port}"


def test_the_models_config_of_an_image_is_tf_serving_s(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    with registry.workspace() as workspace:
        (workspace / "model").mkdir()
        registry.publish(workspace / "model")
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(models_config(registry, Path("/models/m"), 1), config)
    (model,) = config.model_config_list.config
    assert model.base_path == "/models/m"
    assert list(model.model_version_policy.specific.versions) == [1]
    assert dict(model.version_labels) == {STABLE: 1}


def test_the_image_serves_where_the_embedded_server_does() -> None:
    text = (CONTAINER / "Dockerfile").read_text()
    given = flags.parse(["--model_base_path=x"])
    assert f"--port={given.port}" in text
    assert f"--rest_api_port={given.rest_api_port}" in text


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.train"])
def test_nobody_is_root_and_no_shell_stands_before_the_process(name: str) -> None:
    text = (CONTAINER / name).read_text()
    (user,) = re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    assert int(user[0]) > 0
    assert int(user[1]) > 0
    joined = text.replace("\\\n", " ")
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", joined, re.MULTILINE)
    (words,) = re.findall(r"^CMD (.+)$", joined, re.MULTILINE)
    started = [*json.loads(entry), *json.loads(words)]
    assert not {"sh", "bash", "-c"} & {Path(word).name for word in started}


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.train"])
def test_hadolint_finds_nothing(name: str, needed: Needed) -> None:
    linter = needed("hadolint", TOOLS)
    done = subprocess.run(
        [linter, CONTAINER / name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_compose_is_as_its_specification_has_it(needed: Needed) -> None:
    checker = needed("check-jsonschema", TOOLS)
    done = subprocess.run(
        [
            checker,
            "--builtin-schema",
            "vendor.compose-spec",
            CONTAINER / "compose.yaml",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_compose_gives_away_nothing(yaml: Callable[[Path], Any]) -> None:
    services = yaml(CONTAINER / "compose.yaml")["services"]
    assert set(services) == {"serving", "prometheus", "grafana"}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service), name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        # Pinned, and open for a digest.
        image = r"\$\{[A-Z_]+(:-[\w./-]+:v?\d+\.\d+\.\d+|:\?[^}]+)\}"
        assert re.fullmatch(image, service["image"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert volume.endswith(":ro"), name
                assert (CONTAINER / source).exists(), name


def test_grafana_finds_the_dashboard_and_its_data(
    yaml: Callable[[Path], Any],
) -> None:
    (source,) = yaml(PROVISIONING / "datasources/prometheus.yaml")["datasources"]
    (provider,) = yaml(PROVISIONING / "dashboards/files.yaml")["providers"]
    services = yaml(CONTAINER / "compose.yaml")["services"]
    mounted = dict(v.split(":")[:2] for v in services["grafana"]["volumes"])
    assert (
        mounted[os.path.relpath(DASHBOARD.parent, CONTAINER)]
        == provider["options"]["path"]
    )
    home = services["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert home == f"{provider['options']['path']}/{DASHBOARD.name}"
    variables = {v["name"]: v for v in board()["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    assert source["url"] == "http://prometheus:9090"


def board() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return read


def expressions() -> Iterator[tuple[str, str]]:
    """Title of the panel and query, the variables replaced."""
    for panel in board()["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "5m")
            query = query.replace("$__range", "1h").replace("$model", "mri_contrast")
            yield panel["title"], query


def test_panels_are_apart_and_have_queries() -> None:
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [p["title"] for p in panels if p["type"] == "row"] == [
        "TF Serving",
        "Embedded server: by version, and what it says",
    ]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["targets"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    asked = set()
    for _, query in expressions():
        assert "$" not in query
        bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|ignoring) \([^)]*\)", "", query)
        asked |= set(re.findall(r"[a-z_:]*(?:mri_serving_|:tensorflow:)[\w:]+", bare))
        asked |= {"up"} if re.match(r"up\b", bare) else set()
    assert asked == METRICS


def test_prometheus_parses_every_query_and_its_own_file(
    needed: Needed, tmp_path: Path
) -> None:
    promtool = needed("promtool", "apt-get install prometheus")
    rules = [{"record": f"r{n}", "expr": q} for n, (_, q) in enumerate(expressions())]
    assert rules
    # JSON is YAML.
    groups = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "rules.yml").write_text(json.dumps(groups))
    for words in (
        ["check", "rules", str(tmp_path / "rules.yml")],
        ["check", "config", str(CONTAINER / "prometheus.yml")],
    ):
        done = subprocess.run(
            [promtool, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
