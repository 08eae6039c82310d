"""What Prometheus reads, read by its own parser."""

import math
import shutil

import grpc
import numpy as np
import pytest
import tensorflow as tf
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from pipeline.contrasts import CLASSES
from serving.server.metrics.verdicts import read_verdicts

PATH = "/metrics"
TF = ":tensorflow:serving:"


@pytest.fixture
def monitored(serve, root, tmp_path):
    """A server of the registry's versions whose metrics are read."""
    config = tmp_path / "monitoring.config"
    config.write_text(f'prometheus_config {{ enable: true path: "{PATH}" }}')
    return serve(
        model_base_path=None,
        model_config_file=root / "models.config",
        monitoring_config_file=config,
        enable_model_warmup=False,
    )


def read(running):
    """Returns the value of each series, by its name and labels.

    The parser gives every counter `_total` at its end, also where it is not there.
    """
    page = running.rest.get(PATH)
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }


def series(name, **labels):
    return (name, *sorted(labels.items()))


def ask(running, slices, **spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = spec.get("name", "mri_contrast")
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    request.inputs["slices"].CopyFrom(tf.make_tensor_proto(slices))
    return running.predict.Predict(request, timeout=60)


def test_calls_are_counted_as_tf_serving_counts_them(monitored, slices):
    ask(monitored, slices)
    ask(monitored, slices)
    with pytest.raises(grpc.RpcError):
        ask(monitored, slices[:, :9])
    body = {"instances": slices[:1].tolist()}
    monitored.rest.post("/v1/models/mri_contrast:predict", json=body)
    found = read(monitored)
    name = "mri_contrast"
    count = f"{TF}request_count_total"
    assert found[series(count, model_name=name, status="OK")] == 3
    assert found[series(count, model_name=name, status="INVALID_ARGUMENT")] == 1
    for api, entrypoint, calls in (("Predict", "GRPC", 2), ("predict", "REST", 1)):
        labels = {"model_name": name, "API": api, "entrypoint": entrypoint}
        assert found[series(f"{TF}request_latency_count", **labels)] == calls
        assert found[series(f"{TF}request_latency_sum", **labels)] > 0
    runtime = {"model_name": name, "API": "Predict", "runtime": "TF1"}
    assert found[series(f"{TF}runtime_latency_count", **runtime)] == 3
    assert found[series(f"{TF}request_example_counts_sum", model=name)] == 11
    assert found[series(f"{TF}request_example_count_total", model=name)] == 11


def test_latencies_have_tf_servings_buckets(monitored, slices):
    ask(monitored, slices)
    limits = sorted(
        float(dict(labels)["le"])
        for name, *labels in read(monitored)
        if name == f"{TF}request_latency_bucket"
    )
    assert limits[:3] == pytest.approx([10, 18, 32.4])
    assert (len(limits), limits[-1]) == (34, math.inf)


def test_types_are_said_of_the_names_that_are_used(monitored, slices):
    ask(monitored, slices)
    page = monitored.rest.get(PATH).text
    assert f"# TYPE {TF}request_count counter\n" in page
    assert f"# TYPE {TF}request_latency histogram\n" in page
    assert "_created" not in page


def test_warm_ups_are_timed_and_not_counted_as_calls(serve, adders, tmp_path):
    version = shutil.copytree(adders / "1", tmp_path / "models" / "1")
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1])))
    (version / "assets.extra").mkdir()
    requests = version / "assets.extra" / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(requests)) as writer:
        writer.write(log.SerializeToString())
    config = tmp_path / "monitoring.config"
    config.write_text(f'prometheus_config {{ enable: true path: "{PATH}" }}')
    running = serve(model_base_path=version.parent, monitoring_config_file=config)
    found = read(running)
    labels = {"model_path": str(version), "status": "OK"}
    assert found[series(f"{TF}model_warmup_latency_count", **labels)] == 1
    assert not any(name == f"{TF}request_count_total" for name, *_ in found)


def test_our_own_tell_versions_apart(monitored, slices):
    ask(monitored, slices, version=1)
    ask(monitored, slices, version=2)
    ask(monitored, slices, version=2)
    found = read(monitored)
    for version, calls in (("1", 1), ("2", 2)):
        labels = {"model": "mri_contrast", "version": version}
        assert found[series("mri_serving_models_loaded", **labels)] == 1
        labels |= {"method": "Predict"}
        assert found[series("mri_serving_call_seconds_count", **labels)] == calls
        labels |= {"entrypoint": "GRPC", "code": "OK"}
        assert found[series("mri_serving_calls_total", **labels)] == calls


def test_verdicts_and_confidences_are_those_of_the_answers(monitored, slices):
    answer = ask(monitored, slices, version=1)
    outputs = {
        name: np.array(answer.outputs[name].float_val) for name in answer.outputs
    }
    said = read_verdicts(outputs)
    assert said is not None
    found = read(monitored)
    labels = {"model": "mri_contrast", "version": "1"}
    verdict = {**labels, "verdict": said.scan.contrast}
    assert found[series("mri_serving_verdicts_total", **verdict)] == 1
    assert found[series("mri_serving_confidence_sum", **verdict)] == pytest.approx(
        said.scan.probability
    )
    won = np.stack([outputs[name] for name in CLASSES]).argmax(axis=0)
    for number, name in enumerate(CLASSES):
        key = series("mri_serving_slices_total", **labels, contrast=name)
        assert found[key] == (won == number).sum()


def test_names_that_clients_make_up_are_not_kept(monitored, slices):
    for name in ("secret-a", "secret-b"):
        with pytest.raises(grpc.RpcError):
            ask(monitored, slices, name=name)
    page = monitored.rest.get(PATH).text
    assert "secret" not in page
    count = series(f"{TF}request_count_total", model_name="unknown", status="NOT_FOUND")
    assert read(monitored)[count] == 2


def test_without_the_flag_there_is_no_page(serve):
    assert serve().rest.get("/monitoring/prometheus/metrics").status_code == 404


def outputs_of(table, **others):
    return dict(zip(CLASSES, np.array(table, float).T, strict=True)) | {
        name: np.array(value) for name, value in others.items()
    }


def test_images_that_could_not_be_read_have_no_verdict():
    sure = np.log([0.97, 0.01, 0.01, 0.01])
    nothing = np.full(4, np.nan)
    said = read_verdicts(
        outputs_of([sure, nothing, sure], error=[b"", b"no image", b"no image"])
    )
    assert said is not None
    assert said.scan.contrast == CLASSES[0]
    assert sum(said.slices.values()) == 1
    assert read_verdicts(outputs_of([nothing])) is None


def test_a_verdict_below_the_models_limit_is_unsure():
    unsure = outputs_of([np.log([0.4, 0.2, 0.2, 0.2])], aux_accept=[0.9], aux_rho=[0.5])
    said = read_verdicts(unsure)
    assert said is not None
    assert said.scan.contrast == "unsure"
    assert said.slices[CLASSES[0]] == 1


def test_other_models_outputs_have_no_verdict():
    assert read_verdicts({"y": np.zeros(3)}) is None
