"""Alerts and dashboard: of metrics that exist, each alert with a section of its own."""

import json
import math
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from k8s import render
from mri_contrast import Client
from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer
from serving.versions import NAME
from tests.k8s.conftest import Needed, Object
from tests.k8s.rules.objects import find

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DASHBOARD = render.K8S / "serving/components/monitoring/dashboards/mri-serving.json"
METRICS_PATH = "/monitoring/prometheus/metrics"

# What TF Serving 2.20 counts and the embedded server does not.
TF_SERVING_ALONE = {":tensorflow:cc:saved_model:load_attempt_count"}
# What neither exports but others do: kube-state-metrics 2, the kubelet's cAdvisor,
# Envoy 1.36, Prometheus itself.
OTHERS = {
    "container_cpu_usage_seconds_total",
    "envoy_server_days_until_first_cert_expiring",
    "kube_deployment_spec_replicas",
    "kube_deployment_status_replicas_available",
    "kube_horizontalpodautoscaler_spec_max_replicas",
    "kube_horizontalpodautoscaler_status_current_replicas",
    "kube_job_failed",
    "kube_job_status_active",
    "up",
}
ALERTS = {
    "MriServingDown",
    "MriServingPodsMissing",
    "MriServingModelNotLoaded",
    "MriServingSlow",
    "MriServingAtLimit",
    "MriServingCertificateExpires",
    "MriServingErrors",
    "MriServingVerdictsDrift",
    "MriSearchStalled",
    "MriTrainingFailed",
}

Objects = Callable[[str], list[Object]]
Series = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture(scope="module")
def groups(objects_of: Objects) -> list[Object]:
    rule = find(objects_of("cpu"), "PrometheusRule", "mri-contrast")
    assert rule is not None
    found: list[Object] = rule["spec"]["groups"]
    return found


@pytest.fixture(scope="module")
def rules(groups: list[Object]) -> list[Object]:
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def scraped() -> set[Series]:
    """Every series of an embedded server that was asked, refused and batched."""
    container = ROOT / "serving/container"
    config = ServerConfig(
        port=0,
        rest_api_port=0,
        model_base_path=ROOT / "serving/released" / NAME,
        model_name=NAME,
        monitoring_config_file=container / "monitoring.config",
        enable_batching=True,
        batching_parameters_file=container / "batching-cpu.config",
        enable_model_warmup=False,
    )
    with EmbeddedServer(config) as (grpc_port, rest_port):
        with Client(f"127.0.0.1:{grpc_port}", timeout=120) as client:
            client.identify(np.random.default_rng(0).integers(0, 255, (150, 150), "u1"))
        page = httpx.get(f"http://127.0.0.1:{rest_port}{METRICS_PATH}").text
    # Its counters have no `_total` of their own; the parser gives them one.
    return {
        (name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        for name in {sample.name, sample.name.removesuffix("_total")}
        if f"\n{name}" in page
    }


def queries(rules: list[Object], objects_of: Objects) -> Iterator[str]:
    """All that Prometheus is asked: alerts, dashboard, autoscaler."""
    yield from (rule["expr"] for rule in rules)
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query: str = target["expr"]
            query = query.replace("$__rate_interval", "5m").replace("$__range", "1h")
            yield query.replace("$model", NAME)
    scaled = find(objects_of("gpu"), "ScaledObject", "mri-serving")
    assert scaled is not None
    for trigger in scaled["spec"]["triggers"]:
        yield trigger["metadata"]["query"]


def names(query: str) -> set[str]:
    """The metrics of a query."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', "", query)
    bare = re.sub(r"\b(by|on|ignoring|without|group_left)\s*\([^)]*\)", "", bare)
    words = re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()", bare)
    return {word for word in words if "_" in word or word == "up"} - {"group_left"}


def test_every_metric_is_exported_by_somebody(
    rules: list[Object],
    objects_of: Objects,
    scraped: set[Series],
):
    recorded = {rule["record"] for rule in rules if "record" in rule}
    exported = {name for name, _ in scraped}
    asked = set().union(*map(names, queries(rules, objects_of)))
    asked -= {"histogram_quantile"}
    assert asked - exported - recorded == OTHERS | TF_SERVING_ALONE
    assert recorded <= asked


def test_limits_of_latency_are_limits_of_buckets(
    rules: list[Object], scraped: set[Series]
):
    asked = {
        bound
        for rule in rules
        for bound in re.findall(
            r'request_latency_bucket\{[^}]*le=~"(\d+)\(\[\.\]0\)\?"', rule["expr"]
        )
    }
    assert asked
    bounds = {
        dict(labels)["le"]
        for name, labels in scraped
        if name == ":tensorflow:serving:request_latency_bucket"
    }
    # TF Serving prints six digits; the embedded server and Prometheus 3 add `.0`.
    assert {float(bound) for bound in bounds} == {
        *(float(f"{10 * 1.8**k:g}") for k in range(33)),
        math.inf,
    }
    bounds = {bound.removesuffix(".0") for bound in bounds}
    assert asked <= bounds


def test_every_alert_has_a_section_that_says_what_to_do(rules: list[Object]):
    alerts = [rule for rule in rules if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == ALERTS
    text = (ROOT / "docs/operate.md").read_text()
    sections = {
        title.lower(): body
        for title, body in re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.M | re.S)
    }
    for rule in alerts:
        assert rule["labels"]["severity"] in ("page", "ticket")
        where, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert where == "docs/operate.md"
        assert anchor == rule["alert"].lower()
        assert len(sections[anchor].split()) > 30, rule["alert"]


def test_prometheus_takes_the_rules_and_they_fire_when_they_should(
    groups: list[Object], needed: Needed, tmp_path: Path
):
    promtool = needed("promtool", "apt-get install prometheus")
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": groups}))
    files = ["alerts.yaml", "drift.yaml"]
    for name in files:
        (tmp_path / name).write_text((HERE / name).read_text())
    for words in (["check", "rules", "rules.yaml"], ["test", "rules", *files]):
        done = subprocess.run(
            [promtool, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    cases = [(HERE / name).read_text() for name in files]
    tested = set(re.findall(r"alertname: (\w+)", "".join(cases)))
    assert tested == ALERTS


def test_the_dashboard_in_the_cluster_is_compose_s(objects_of: Objects):
    held = find(objects_of("cpu"), "ConfigMap", "grafana-mri-serving")
    assert held is not None
    shown: dict[str, Any] = json.loads(held["data"]["mri-serving.json"])
    assert shown == json.loads(DASHBOARD.read_text())
    assert held["metadata"]["labels"] == {"grafana_dashboard": "1"}
