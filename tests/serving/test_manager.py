"""Versions that appear, vanish and fail, as a running server meets them."""

import shutil
import socket
import threading
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config.file_system_storage_path_source_pb2 import (
    FileSystemStoragePathSourceConfig,
)

from serving.registry import Registry
from serving.server import warmup
from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer
from serving.server.errors import NothingToServeError, ServingError
from serving.server.loader import Retries
from serving.server.manager import Models
from serving.server.model_config import ModelConfig, read_models
from serving.server.policy import All, Latest, Specific, policy_of

State = get_model_status_pb2.ModelVersionStatus
ServableVersionPolicy = (
    FileSystemStoragePathSourceConfig.ServableVersionPolicy  # how config files say it
)


@pytest.fixture
def base(tmp_path: Path, adders: Path) -> Path:
    """A model's folder with version 1."""
    shutil.copytree(adders / "1", tmp_path / "adder" / "1")
    return tmp_path / "adder"


def load(config: ModelConfig, number: int) -> warmup.LoadedModel:
    return warmup.load(config, number, warmup.Replays())


def started(*configs: ModelConfig) -> Models:
    models = Models(configs, load)
    models.start()
    return models


def answering(models: Models, **choice: object) -> int:
    return models.find(model_pb2.ModelSpec(name="adder", **choice))[1]


def states(models: Models) -> dict[int, int]:
    return {each.number: each.state for each in models.statuses("adder")}


def test_a_new_version_replaces_the_old_one(base, adders):
    models = started(ModelConfig("adder", base))
    before, _version = models.find(model_pb2.ModelSpec(name="adder"))
    shutil.copytree(adders / "2", base / "2")
    models.update()
    assert answering(models) == 2
    assert states(models) == {1: State.END, 2: State.AVAILABLE}
    signature = before.signature("")
    assert signature is not None
    (answer,) = before.run(signature, {"x": tf.zeros(1).numpy()}, ["y"])
    assert answer == [1], "a call that began before the swap must end"


def test_a_version_that_comes_back_is_loaded_again(base, adders):
    models = started(ModelConfig("adder", base))
    shutil.copytree(adders / "2", base / "2")
    models.update()
    shutil.rmtree(base / "2")
    models.update()
    assert states(models) == {1: State.AVAILABLE, 2: State.END}


def test_a_corrupt_version_keeps_the_old_one_serving(base, adders):
    models = started(ModelConfig("adder", base))
    (base / "2").mkdir()
    (base / "2/saved_model.pb").write_bytes(b"damaged")
    models.update()
    assert answering(models) == 1
    newest = models.statuses("adder")[0]
    assert (newest.number, newest.state) == (2, State.END)
    assert newest.error is not None
    shutil.rmtree(base / "2")
    models.update()
    shutil.copytree(adders / "2", base / "2")
    models.update()
    assert answering(models) == 2, "mended, it must be tried again"


class Failing:
    """Fails to load version 2 that many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, config: ModelConfig, number: int) -> warmup.LoadedModel:
        if number == 2 and self.times:
            self.times -= 1
            raise ServingError(grpc.StatusCode.NOT_FOUND, "half copied")
        return load(config, number)


def retrying(base: Path, adders: Path, times: int, count: int) -> Models:
    """Serves version 1; version 2 has appeared and failed once."""
    retries = Retries(count, seconds=0)
    models = Models([ModelConfig("adder", base)], Failing(times), retries=retries)
    models.start()
    shutil.copytree(adders / "2", base / "2")
    models.update()
    assert answering(models) == 1
    return models


def test_a_version_that_fails_is_tried_again(base, adders):
    models = retrying(base, adders, times=2, count=5)
    waiting = models.statuses("adder")[0]
    assert (waiting.number, waiting.state) == (2, State.LOADING)
    assert waiting.error is not None
    assert waiting.error.text == "half copied"
    models.retry()
    assert answering(models) == 1
    models.retry()
    assert states(models) == {1: State.END, 2: State.AVAILABLE}


def test_a_version_that_fails_too_often_is_given_up(base, adders):
    models = retrying(base, adders, times=9, count=1)
    models.retry()
    assert states(models) == {1: State.AVAILABLE, 2: State.END}
    models.retry()
    models.update()
    assert states(models) == {1: State.AVAILABLE, 2: State.END}


def test_a_version_that_is_gone_is_not_tried_again(base, adders):
    models = retrying(base, adders, times=1, count=5)
    shutil.rmtree(base / "2")
    models.update()
    assert states(models) == {1: State.AVAILABLE, 2: State.END}
    assert models.statuses("adder")[0].error is None


def test_a_model_that_is_configured_anew_is_tried_anew(base, adders):
    models = retrying(base, adders, times=1, count=0)
    models.configure([ModelConfig("adder", base)])
    assert answering(models) == 1, "the same configuration changes nothing"
    models.configure([ModelConfig("adder", base, Latest(2))])
    assert states(models) == {1: State.AVAILABLE, 2: State.AVAILABLE}


def test_a_base_path_without_versions_unloads_all(base):
    models = started(ModelConfig("adder", base))
    shutil.rmtree(base / "1")
    models.update()
    assert states(models) == {1: State.END}
    assert not models.ready()


def test_a_model_that_is_gone_from_the_configuration_is_listed_as_ended(base, adders):
    models = started(ModelConfig("adder", base), ModelConfig("other", adders))
    models.configure([ModelConfig("other", adders)])
    assert states(models) == {1: State.END}
    models.configure([ModelConfig("adder", base), ModelConfig("other", adders)])
    assert answering(models) == 1


def test_what_a_loader_did_not_expect_holds_up_no_other_version(base, adders, caplog):
    def failing(config: ModelConfig, number: int) -> warmup.LoadedModel:
        if number == 2:
            raise RuntimeError("a library's own")
        return load(config, number)

    models = Models([ModelConfig("adder", base)], failing)
    models.start()
    shutil.copytree(adders / "2", base / "2")
    models.update()
    assert states(models) == {1: State.AVAILABLE, 2: State.END}
    assert answering(models) == 1
    assert "a library's own" in caplog.text
    shutil.copytree(adders / "3", base / "3")
    models.update()
    assert answering(models) == 3


def test_a_base_path_that_is_gone_unloads_nothing(base):
    models = started(ModelConfig("adder", base))
    base.rename(base.with_name("elsewhere"))
    models.update()
    assert answering(models) == 1


def test_names_that_are_no_numbers_are_no_versions(base, adders):
    shutil.copytree(adders / "3", base / ".preparing-3")
    (base / "notes.txt").write_text("ours")
    shutil.copytree(adders / "3", base / ("9" * 30))
    shutil.copytree(adders / "3", base / "٣")
    shutil.copytree(adders / "3", base / "-3")
    assert answering(started(ModelConfig("adder", base))) == 1


@pytest.mark.parametrize("name", ["007", "+7", "0" * 40 + "7"])
def test_numbers_are_versions_however_they_are_written(base, adders, name):
    shutil.copytree(adders / "3", base / name)
    assert answering(started(ModelConfig("adder", base))) == 7


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Latest(), {3}),
        (Latest(2), {2, 3}),
        (All(), {1, 2, 3}),
        (Specific(frozenset({1, 7})), {1}),
        (policy_of(ServableVersionPolicy()), {3}),
        (policy_of(ServableVersionPolicy(latest={"num_versions": 2})), {2, 3}),
        (policy_of(ServableVersionPolicy(all={})), {1, 2, 3}),
        (policy_of(ServableVersionPolicy(specific={"versions": [2]})), {2}),
    ],
    ids=str,
)
def test_policies_choose_the_versions(adders, policy, expected):
    models = started(ModelConfig("adder", adders, policy))
    available = {n for n, state in states(models).items() if state == State.AVAILABLE}
    assert available == expected


def test_labels_name_versions(adders):
    config = ModelConfig("adder", adders, All(), {"stable": 2, "old": 9})
    models = started(config)
    assert answering(models, version_label="stable") == 2
    with pytest.raises(ServingError, match=r"Specific\(adder, 9\)"):
        answering(models, version_label="old")


def test_nothing_to_serve_says_what_to_do(base, tmp_path):
    (tmp_path / "empty").mkdir()
    for path, reason in (
        (tmp_path / "none", "does not exist"),
        (tmp_path / "empty", "holds no version"),
    ):
        with pytest.raises(NothingToServeError, match=f"{reason}.*make publish"):
            started(ModelConfig("adder", path))
    (base / "1/saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(NothingToServeError, match="could be loaded"):
        started(ModelConfig("adder", base))


def test_a_warm_up_file_that_is_damaged_fails_the_version(base):
    extra = base / "1/assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_bytes(b"no records at all")
    with pytest.raises(NothingToServeError, match="TFRecord format"):
        started(ModelConfig("adder", base))


def test_a_missing_config_file_says_what_to_do(tmp_path):
    with pytest.raises(NothingToServeError, match="make publish"):
        read_models(ServerConfig(model_config_file=tmp_path / "models.config"))


def test_promoting_changes_what_stable_is_while_serving(tmp_path, adders):
    registry = Registry(tmp_path, "adder")
    for version in ("1", "2"):
        with registry.workspace() as workspace:
            registry.publish(shutil.copytree(adders / version, workspace / "model"))
    server = EmbeddedServer(
        ServerConfig(
            port=0,
            rest_api_port=None,
            model_config_file=tmp_path / "models.config",
            model_config_file_poll_wait_seconds=0.05,
        )
    )
    with (
        server as (port, _rest),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "adder"
        request.model_spec.version_label = "stable"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([0.0]))
        assert predict(request).outputs["y"].float_val[0] == 1
        registry.promote(2)
        # None of the calls may fail while version 2 takes over.
        while predict(request).outputs["y"].float_val[0] == 1:
            pass  # bounded by the test's time limit
        assert predict(request).model_spec.version.value == 2


def test_a_label_stays_where_its_new_version_does_not_load(base, adders):
    def config(version: int) -> ModelConfig:
        return ModelConfig(
            "adder", base, Specific(frozenset({version})), {"stable": version}
        )

    models = started(config(1))
    (base / "2").mkdir()
    (base / "2/saved_model.pb").write_bytes(b"damaged")
    models.configure([config(2)])
    assert answering(models, version_label="stable") == 1
    shutil.copytree(adders / "3", base / "3")
    models.configure([config(3)])
    assert answering(models, version_label="stable") == 3


def test_a_label_that_stays_does_not_try_its_version_again_and_again(base, adders):
    failing = Failing(times=9)
    models = Models([ModelConfig("adder", base, labels={"stable": 1})], failing)
    models.start()
    shutil.copytree(adders / "2", base / "2")
    wanted = ModelConfig("adder", base, Specific(frozenset({2})), {"stable": 2})
    for _ in range(3):
        models.configure([wanted])
    assert answering(models, version_label="stable") == 1
    assert failing.times == 8


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "cannot be read as a ModelServerConfig"),
        ("", "lists no model"),
        ('{config {name: "a" base_path: "/a"}}', 'write model_platform: "tensorflow"'),
        ('{config {name: "a" base_path: "a"}}', "have an absolute path"),
        (
            '{config {name: "a" base_path: "/a"} config {name: "a" base_path: "/a"}}',
            "Illegal to list model a multiple times",
        ),
    ],
)
def test_a_wrong_config_file_says_why(tmp_path, text, reason):
    path = tmp_path / "models.config"
    path.write_text(text if text in ("nonsense", "") else f"model_config_list {text}")
    with pytest.raises(NothingToServeError, match=reason):
        read_models(ServerConfig(model_config_file=path))


def config_text(base: Path) -> str:
    return (
        f'model_config_list {{ config {{ name: "adder" base_path: "{base}" '
        'model_platform: "tensorflow" } }'
    )


def test_health_follows_the_models_of_a_reread_config(base, tmp_path):
    config = tmp_path / "models.config"
    config.write_text(config_text(base))
    server = EmbeddedServer(
        ServerConfig(
            port=0,
            rest_api_port=None,
            model_config_file=config,
            model_config_file_poll_wait_seconds=0.05,
        )
    )
    with (
        server as (port, _rest),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=60
        )
        answer = health_pb2.HealthCheckResponse
        assert next(watch).status == answer.SERVING
        config.write_text(config_text(tmp_path / "none").replace("adder", "other"))
        assert next(watch).status == answer.NOT_SERVING
        config.write_text(config_text(base))
        assert next(watch).status == answer.SERVING
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert next(watch).status == answer.NOT_SERVING
        stopping.join(timeout=20)
        assert not stopping.is_alive(), "a health watch must not hold the drain up"


def test_a_version_that_appears_is_served_without_a_failed_call(base, adders):
    config = ServerConfig(
        port=0,
        rest_api_port=None,
        model_name="adder",
        model_base_path=base,
        file_system_poll_wait_seconds=0.05,
    )
    with (
        EmbeddedServer(config) as (port, _rest),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "adder"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([0.0]))
        answers = {predict(request).outputs["y"].float_val[0]}
        shutil.copytree(adders / "2", base / ".partial")
        (base / ".partial").rename(base / "2")
        while 2.0 not in answers:  # bounded by the test's time limit
            answers.add(predict(request).outputs["y"].float_val[0])
        assert answers == {1.0, 2.0}


def test_a_taken_rest_port_closes_the_other_one_again(base):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as probe,
    ):
        free = probe.getsockname()[1]
        probe.close()
        server = EmbeddedServer(
            ServerConfig(
                port=free,
                rest_api_port=taken.getsockname()[1],
                model_name="adder",
                model_base_path=base,
            )
        )
        with pytest.raises(OSError, match="--rest_api_port"):
            server.start()
    with socket.create_server(("127.0.0.1", free)):
        pass  # free again


def test_looking_for_versions_survives_what_nobody_expected(base, monkeypatch, caplog):
    seen = threading.Event()
    look, looks = Models.update, []

    def failing_once(models):
        look(models)
        looks.append(1)
        if len(looks) == 2:  # the first look is the start's
            raise RuntimeError("nobody expected this")
        if len(looks) == 3:
            seen.set()

    config = ServerConfig(
        port=0,
        rest_api_port=None,
        model_name="adder",
        model_base_path=base,
        file_system_poll_wait_seconds=0.01,
    )
    monkeypatch.setattr(Models, "update", failing_once)
    with EmbeddedServer(config):
        assert seen.wait(30)
    assert "could not look for versions" in caplog.text
