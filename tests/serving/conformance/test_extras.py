"""What flags turn on: metrics, CORS, health, reflection, labels, sockets, raw bytes."""

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2

from tests.serving.conformance import ask, prometheus, reflection
from tests.serving.conformance.ask import floats
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.process import unlimited, until

row = pytest.mark.row

METRICS = "/my/own/metrics"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("extras")


@pytest.fixture(scope="module")
def extras(launcher, library, folder):
    monitoring = folder / "monitoring.config"
    monitoring.write_text(f'prometheus_config {{ enable: true path: "{METRICS}" }}')
    labels = {"stable": 1, "canary": 3, "also": 1}
    config = write_config(
        folder / "models.config",
        Model("number", library / "number", "all", labels),
        Model("half_plus_two", library / "half_plus_two"),
        Model("text", library / "text"),
    )
    return launcher.start(
        f"--model_config_file={config}",
        f"--monitoring_config_file={monitoring}",
        "--allow_version_labels_for_unavailable_models",
        "--rest_api_enable_cors_support=true",
        "--enable_grpc_healthcheck_service=true",
        "--enable_serialization_as_tensor_content=true",
        f"--grpc_socket_path={folder / 'socket'}",
        "--grpc_channel_arguments="
        "grpc.max_metadata_size=1024,grpc.absolute_max_metadata_size=2048",
    )


@row("grpc.tensor-content")
def test_outputs_come_as_raw_bytes_where_asked(extras):
    request = ask.predict("half_plus_two", x=floats(2, 4))
    output = extras.predict.Predict(request, timeout=60).outputs["y"]
    assert output.tensor_content == floats(3, 4).tobytes()
    assert not output.float_val


@row("labels.start-allowed", "flags.boolean-bare")
def test_labels_of_the_first_config_are_assigned(extras):
    assert ask.answer(extras, "number", label="stable", x=floats(0)) == [1]
    assert ask.answer(extras, "number", label="canary", x=floats(0)) == [3]


@row("labels.several")
def test_a_version_may_have_several_labels(extras):
    assert ask.answer(extras, "number", label="also", x=floats(0)) == [1]


@row("grpc.spec-label")
def test_an_answer_by_label_names_the_version(extras):
    request = ask.predict("number", label="canary", x=floats(0))
    spec = extras.predict.Predict(request, timeout=60).model_spec
    assert spec.version.value == 3
    assert spec.version_label == ""


@row("rest.label")
def test_a_path_may_name_the_label(extras):
    path = "/v1/models/number/labels/stable"
    got = extras.rest.post(f"{path}:predict", json={"instances": [0.0]})
    assert got.json() == {"predictions": [1]}
    got = extras.rest.get(f"{path}/metadata")
    assert got.json()["model_spec"]["version"] == "1"


def health_of(server, service=""):
    request = health_pb2.HealthCheckRequest(service=service)
    return server.health.Check(request, timeout=60).status


@row("grpc.health")
def test_health_is_serving(extras):
    assert health_of(extras) == health_pb2.HealthCheckResponse.SERVING


@row("grpc.health-services")
@pytest.mark.parametrize("service", ["ModelService", "PredictionService"])
def test_both_services_have_a_health(extras, service):
    assert health_of(extras, service) == health_pb2.HealthCheckResponse.SERVING


@row("grpc.health-unknown")
def test_health_of_another_name_is_not_found(extras):
    request = health_pb2.HealthCheckRequest(service="nobody")
    code, _ = ask.refusal(extras.health.Check, request)
    assert code is grpc.StatusCode.NOT_FOUND


@row("grpc.health-watch")
def test_a_health_watch_tells_the_state_at_once(extras):
    watch = extras.health.Watch(health_pb2.HealthCheckRequest(), timeout=60)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


@row("grpc.reflection")
def test_reflection_lists_the_services(extras):
    assert reflection.services(extras.channel) >= {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
    }


@row("grpc.reflection-symbol")
def test_reflection_describes_a_service(extras):
    name = "tensorflow.serving.PredictionService"
    (service,) = (
        service
        for file in reflection.files_of(extras.channel, name)
        for service in file.service
        if service.name == "PredictionService"
    )
    assert {method.name for method in service.method} >= {
        *("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata")
    }


@row("transport.socket")
def test_a_unix_socket_is_opened_too(extras, folder):
    with unlimited(f"unix:{folder / 'socket'}") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        request = ask.predict("half_plus_two", x=floats(2))
        assert call(request.SerializeToString(), timeout=60)


@row("transport.arguments")
def test_channel_arguments_reach_the_server(extras):
    request = ask.predict("half_plus_two", x=floats(2))
    # Of 1 KiB gRPC's own headers take some 540 bytes; above it it refuses by chance.
    assert extras.predict.Predict(request, metadata=[("k", "v" * 400)], timeout=60)
    with pytest.raises(grpc.RpcError) as caught:
        extras.predict.Predict(request, metadata=[("k", "v" * 8000)], timeout=60)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


ORIGIN = {"origin": "http://example.org"}


@row("rest.cors", "flags.boolean-true")
def test_cors_headers_where_asked(extras):
    got = extras.rest.post(
        "/v1/models/half_plus_two:predict", json={"instances": [2.0]}, headers=ORIGIN
    )
    assert got.json() == {"predictions": [3]}
    assert got.headers["access-control-allow-origin"] in ("*", ORIGIN["origin"])


@row("rest.cors-preflight")
def test_a_preflight_request_names_the_methods(extras):
    got = extras.rest.options(
        "/v1/models/half_plus_two:predict",
        headers={
            **ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    assert got.status_code == 200
    assert "POST" in got.headers["access-control-allow-methods"]
    assert got.headers["access-control-allow-origin"] in ("*", ORIGIN["origin"])


def samples(server, name: str, **labels: str) -> list[prometheus.Sample]:
    got = server.rest.get(METRICS)
    assert got.status_code == 200
    assert got.headers["content-type"].startswith("text/plain")
    return [
        each
        for each in prometheus.read(got.text)
        if each.name == f":tensorflow:serving:{name}"
        and {**each.labels, **labels} == each.labels
    ]


def total(server, name: str, **labels: str) -> float:
    return sum(each.value for each in samples(server, name, **labels))


HALF = {"model_name": "half_plus_two"}


def predict_once(server):
    request = ask.predict("half_plus_two", x=floats(2, 4, 6))
    return server.predict.Predict(request, timeout=60)


@row("metrics.path")
def test_metrics_are_at_the_configured_path(extras):
    assert extras.rest.get(METRICS).status_code == 200
    elsewhere = extras.rest.get("/monitoring/prometheus/metrics")
    assert elsewhere.status_code in (400, 404)


@row("metrics.count")
def test_answered_calls_are_counted(extras):
    before = total(extras, "request_count", **HALF, status="OK")
    predict_once(extras)
    extras.rest.post("/v1/models/half_plus_two:predict", json={"instances": [2.0]})
    assert total(extras, "request_count", **HALF, status="OK") == before + 2


def not_ok(server) -> float:
    counted = samples(server, "request_count", **HALF)
    return sum(each.value for each in counted if each.labels["status"] != "OK")


@row("metrics.failures")
def test_failed_calls_are_counted_apart(extras):
    before = total(extras, "request_count", **HALF, status="OK"), not_ok(extras)
    ask.refusal(extras.predict.Predict, ask.predict("half_plus_two", zz=floats(1)))
    after = total(extras, "request_count", **HALF, status="OK"), not_ok(extras)
    assert after == (before[0], before[1] + 1)


@row("metrics.latency")
def test_latency_has_tensorflow_servings_labels_and_buckets(extras):
    predict_once(extras)
    buckets = samples(extras, "request_latency_bucket", **HALF)
    assert set(buckets[0].labels) == {"model_name", "API", "entrypoint", "le"}
    assert "predict" in {each.labels["API"].lower() for each in buckets}
    limits = sorted({float(each.labels["le"]) for each in buckets})
    assert limits[:3] == pytest.approx([10, 18, 32.4])
    assert limits[-1] == float("inf")
    assert len(limits) in (33, 34), "33 of them, with or without infinity"
    assert total(extras, "request_latency_sum", **HALF) > 0


@row("metrics.latency-ok")
def test_latency_counts_answered_calls_alone(extras):
    before = total(extras, "request_latency_count", **HALF)
    ask.refusal(extras.predict.Predict, ask.predict("half_plus_two", zz=floats(1)))
    assert total(extras, "request_latency_count", **HALF) == before
    predict_once(extras)
    assert total(extras, "request_latency_count", **HALF) == before + 1


@row("metrics.examples")
def test_examples_are_counted(extras):
    def counted() -> float:
        return sum(
            each.value
            for each in samples(extras, "request_example_counts_sum")
            if "half_plus_two" in each.labels.values()
        )

    before = counted()
    given = [ask.example(x=2.0)] * 3
    extras.predict.Classify(
        ask.classify("half_plus_two", *given, signature="classify"), timeout=60
    )
    assert counted() == before + 3


@row("metrics.runtime")
def test_run_time_is_measured(extras):
    before = total(extras, "runtime_latency_count", **HALF)
    predict_once(extras)
    assert total(extras, "runtime_latency_count", **HALF) == before + 1


@row("beyond.metrics-version")
def test_metrics_tell_versions_apart(extras):
    for label in ("stable", "canary"):
        ask.answer(extras, "number", label=label, x=floats(0))
    own = [
        each
        for each in prometheus.read(extras.rest.get(METRICS).text)
        if not each.name.startswith(":tensorflow")
        and each.value
        and "number" in each.labels.values()
    ]
    assert {each.labels.get("version") for each in own} >= {"1", "3"}


@row("beyond.log")
def test_a_call_is_one_line_of_log_without_what_it_carried(extras):
    secret = "kept-to-ourselves"
    before = len(extras.said().splitlines())
    request = ask.predict("text", s=tf.make_tensor_proto([secret]))
    headers = [("x-name", secret)]
    assert extras.predict.Predict(request, metadata=headers, timeout=60)
    ask.refusal(extras.predict.Predict, ask.predict("text", signature="nobody"))

    def of_calls() -> list[str]:
        lines = extras.said().splitlines()[before:]
        return [line for line in lines if "text" in line and "Predict" in line]

    until(lambda: len(of_calls()) >= 2, "a line for each of two calls")
    first, second = of_calls()
    assert "OK" in first
    assert "FAILED_PRECONDITION" in second
    assert secret not in extras.said()
