import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from pipeline.command import run_command
from pipeline.contrasts import CLASSES
from pipeline.runs import Calibration, load_run
from serving import gate
from serving.card import write_card
from serving.export import ExportConfig, export, main
from serving.registry import Registry
from serving.revision import source_revision
from serving.signatures import signatures

UNMEASURED = gate.Rules(allow_unmeasured=True)


def test_tf1_session_answers_equal_keras(saved_model, run, slices, expected):
    evidence = gate.check(saved_model, run)
    assert evidence["largest_difference_to_keras"] < 1e-5
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(saved_model))
        signature = meta.signature_def["serving_default"]
        fetched = [signature.outputs[name].name for name in CLASSES]
        fed = {signature.inputs["slices"].name: slices}
        answer = np.stack(session.run(fetched, fed), axis=1)
    np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_signatures_are_those_of_the_contract(saved_model):
    loaded = tf.saved_model.load(str(saved_model))
    named = {name: call.structured_outputs for name, call in loaded.signatures.items()}
    answer = {*CLASSES, "aux_rho", "aux_accept", "aux_gadolinium", "aux_plane"}
    assert {name: set(outputs) for name, outputs in named.items()} == {
        "serving_default": answer,
        "slices_v1": answer,
        "encoded": answer | {"error"},
        "classify": {"classes", "scores"},
        "explain": {"heat"},
    }
    assert all(spec.dtype == tf.float32 for spec in named["slices_v1"].values())


def test_the_export_tells_plane_and_gadolinium_as_keras_does(saved_model, run, slices):
    outputs = run.model.predict(slices[..., None] / np.float32(255), verbose=0)
    loaded = tf.saved_model.load(str(saved_model))
    answer = loaded.signatures["slices_v1"](slices=tf.constant(slices))
    planes, gadolinium = outputs["plane"].argmax(axis=1), outputs["gadolinium"][:, 0]
    np.testing.assert_array_equal(answer["aux_plane"], planes)
    np.testing.assert_allclose(
        answer["aux_gadolinium"], scipy.special.expit(gadolinium), atol=1e-5
    )


def test_a_network_without_heads_is_published_without_their_outputs(
    headless_run, tmp_path
):
    config = ExportConfig(headless_run.path, tmp_path / "models", rules=UNMEASURED)
    assert main(config) == 0
    loaded = tf.saved_model.load(str(tmp_path / "models" / "mri_contrast" / "1"))
    outputs = loaded.signatures["slices_v1"].structured_outputs
    assert set(outputs) == {*CLASSES, "aux_rho", "aux_accept"}


def test_what_speaks_for_the_class_is_explained_whatever_heads_there_are(
    run, headless_run, slices
):
    with_heads, without = (
        signatures(each)["explain"].function(tf.constant(slices))["heat"]
        for each in (run, headless_run)
    )
    np.testing.assert_allclose(with_heads, without, atol=1e-6)


def test_gate_refuses_another_plane_than_the_run_tells(saved_model, run):
    outputs = dict(run.model.output)
    outputs["plane"] = outputs["plane"][:, ::-1]
    other = dataclasses.replace(run, model=keras.Model(run.model.inputs[0], outputs))
    with pytest.raises(gate.GateRefusedError, match="aux_plane of slices_v1 differs"):
        gate.check(saved_model, other)


def test_warm_up_covers_every_signature_at_every_size(saved_model):
    path = saved_model / "assets.extra/tf_serving_warmup_requests"
    sizes: dict[str, list[int]] = {}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.HasField("classify_log"):
            request = log.classify_log.request
            size = len(request.input.example_list.examples)
        else:
            request = log.predict_log.request
            (tensor,) = request.inputs.values()
            size = tf.make_ndarray(tensor).shape[0]
        sizes.setdefault(request.model_spec.signature_name, []).append(size)
    names = ("serving_default", "slices_v1", "encoded", "classify", "explain")
    assert sizes == {name: [1, 8, 16, 24, 32, 64] for name in names}
    assert path.stat().st_size < 500_000


def test_model_card_tells_origin_and_calibration(saved_model):
    told = json.loads((saved_model / "assets.extra/model_card.json").read_text())
    assert told["classes"] == list(CLASSES)
    assert told["calibration"] == {"temperature": 1.5, "rho": 0.25, "accept": 0.6}
    assert told["data_manifest_sha256"] == "ab" * 32
    assert told["metrics"] == {"volumes": {"accuracy": 0.5}}
    assert told["hyper_parameters"] == {"filters": 8}
    assert told["slices"] == {"signature": "slices_v1", "slicer_version": 1}
    assert told["libraries"]["tensorflow"] == tf.__version__
    assert told["source_revision"] == source_revision()


def test_model_card_of_a_run_that_was_not_evaluated_has_no_metrics(tmp_path, run):
    unmeasured = dataclasses.replace(run, metrics={})
    write_card(tmp_path, "mri_contrast", unmeasured, {})
    told = json.loads((tmp_path / "assets.extra/model_card.json").read_text())
    assert told["metrics"] is None


def test_gate_refuses_answers_that_differ_from_the_run(saved_model, run):
    other = dataclasses.replace(run, calibration=Calibration(1.6, 0.25, 0.6))
    with pytest.raises(gate.GateRefusedError, match="differs from Keras by"):
        gate.check(saved_model, other)


def test_gate_refuses_an_input_without_ensure_shape(tmp_path, run):
    unguarded = keras.export.ExportArchive()
    unguarded.track(run.model)
    spec = tf.TensorSpec((None, 150, 150, 1), tf.float32, name="slices")
    unguarded.add_endpoint(
        "slices_v1", lambda x: {"T1": run.model(x)["logits"][:, 0]}, [spec]
    )
    unguarded.write_out(str(tmp_path / "model"), verbose=False)
    with pytest.raises(gate.GateRefusedError, match=r"does not pass tf\.ensure_shape"):
        gate.check(tmp_path / "model", run)


@keras.saving.register_keras_serializable("tests")
class AlwaysNoisy(keras.layers.Layer):
    """Noise that ignores `training`, as random layers exported carelessly do."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + tf.random.normal(tf.shape(inputs))


def test_gate_refuses_a_missing_class(tmp_path, run):
    fewer = dataclasses.replace(run, classes=("T1", "T2", "FLAIR", "PD"))
    export(fewer, tmp_path / "model")
    with pytest.raises(gate.GateRefusedError, match="no output other"):
        gate.check(tmp_path / "model", run)


def test_command_without_a_run_says_what_to_do(tmp_path: Path, capsys):
    arguments = ["--run", str(tmp_path / "none")]
    assert run_command(ExportConfig, main, prog="export", arguments=arguments) == 2
    assert "make train" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_without_a_calibration_is_not_finished(run_folder, tmp_path):
    (tmp_path / "model.keras").symlink_to(run_folder / "model.keras")
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load_run(tmp_path)


def test_a_refusal_ends_with_code_3_and_its_reason(tmp_path, run, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    pixels = keras.Input((150, 150, 1))
    noisy = keras.Model(pixels, {"logits": AlwaysNoisy()(run.model(pixels)["logits"])})
    noisy.save(folder / "model.keras")
    config = ExportConfig(folder, tmp_path / "models", rules=UNMEASURED)
    assert main(config) == 3
    assert "leave random layers out" in capsys.readouterr().err
    registry = Registry(tmp_path / "models")
    assert registry.versions() == []
    (refusal,) = registry.history()
    assert refusal["action"] == "refuse"
    assert refusal["gate"]["decision"] == "refused"
    assert "leave random layers out" in refusal["reason"]
    left = {path.name for path in registry.root.iterdir()}
    assert left == {"registry.jsonl", ".lock"}
