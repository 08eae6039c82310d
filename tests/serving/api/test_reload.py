"""HandleReloadConfigRequest: the whole configuration replaced over gRPC."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer

INVALID = grpc.StatusCode.INVALID_ARGUMENT
State = get_model_status_pb2.ModelVersionStatus


class Client:
    """Asks one server."""

    def __init__(self, channel: grpc.Channel, base: Path) -> None:
        self.base = base
        self._models = model_service_pb2_grpc.ModelServiceStub(channel)
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def reload(self, entries: str = "", config: str = ""):
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(
            config or f"model_config_list {{ {entries} }}", request.config
        )
        return self._models.HandleReloadConfigRequest(request, timeout=60)

    def entry(self, more: str = "", name="adder", base=None, platform="tensorflow"):
        return (
            f'config {{ name: "{name}" base_path: "{base or self.base}" '
            f'model_platform: "{platform}" {more} }}'
        )

    def add(self, name="adder", **choice):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        if "label" in choice:
            request.model_spec.version_label = choice["label"]
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([0.0]))
        return self._predict.Predict(request, timeout=60).outputs["y"].float_val[0]

    def states(self, name="adder"):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        versions = self._models.GetModelStatus(request, timeout=60)
        return {each.version: each.state for each in versions.model_version_status}


def specific(*versions):
    numbers = " ".join(f"versions: {version}" for version in versions)
    return f"model_version_policy {{ specific {{ {numbers} }} }}"


def label(name, version):
    return f'version_labels {{ key: "{name}" value: {version} }}'


def serving(adders: Path, base: Path, **flags) -> Iterator[Client]:
    shutil.copytree(adders, base)
    config = ServerConfig(
        port=0,
        rest_api_port=None,
        model_name="adder",
        model_base_path=base,
        file_system_poll_wait_seconds=0,
        **flags,
    )
    with (
        EmbeddedServer(config) as (port, _rest),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield Client(channel, base)


@pytest.fixture
def client(adders, tmp_path):
    yield from serving(adders, tmp_path / "adder", max_num_load_retries=0)


@pytest.fixture
def lenient(adders, tmp_path):
    yield from serving(
        adders,
        tmp_path / "adder",
        allow_version_labels_for_unavailable_models=True,
    )


def refused(client, *args, **kwargs):
    with pytest.raises(grpc.RpcError) as caught:
        client.reload(*args, **kwargs)
    return caught.value.code(), caught.value.details()


def test_it_answers_when_the_new_models_can(client, adders):
    answer = client.reload(
        client.entry(specific(1, 2)) + client.entry(name="other", base=adders)
    )
    assert (answer.status.error_code, answer.status.error_message) == (0, "")
    assert client.states() == {
        1: State.AVAILABLE,
        2: State.AVAILABLE,
        3: State.END,
    }
    assert (client.add(), client.add("other")) == (2, 3)


def test_a_model_that_is_gone_from_it_is_unloaded(client, adders):
    client.reload(client.entry(name="other", base=adders))
    assert client.states() == {3: State.END}
    with pytest.raises(grpc.RpcError) as caught:
        client.add()
    assert caught.value.details() == "Servable not found for request: Latest(adder)"
    client.reload(client.entry())
    assert client.add() == 3


def test_labels_move_between_versions_that_answer(client):
    client.reload(client.entry(specific(1, 2)))
    client.reload(client.entry(specific(1, 2) + label("stable", 1)))
    assert client.add(label="stable") == 1
    client.reload(client.entry(specific(1, 2) + label("stable", 2) + label("old", 1)))
    assert (client.add(label="stable"), client.add(label="old")) == (2, 1)


def test_a_label_on_a_version_that_cannot_answer_is_refused(client):
    entry = client.entry(specific(1, 2) + label("stable", 2))
    assert refused(client, entry) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "Request to assign label to version 2 of model adder, which is not currently "
        "available for inference",
    )
    assert client.states() == {3: State.AVAILABLE}, "nothing may have changed"


def test_a_new_label_may_come_before_its_version_where_the_flag_says_so(lenient):
    lenient.reload(lenient.entry(specific(1) + label("stable", 1)))
    assert lenient.add(label="stable") == 1
    moved = lenient.entry(specific(1, 2) + label("stable", 2))
    assert refused(lenient, moved)[0] == grpc.StatusCode.FAILED_PRECONDITION


def test_a_base_path_that_moves_is_followed(client, adders, tmp_path):
    shutil.copytree(adders / "1", tmp_path / "elsewhere" / "3")
    client.reload(client.entry(base=tmp_path / "elsewhere"))
    assert client.add() == 1, "version 3 is now what was version 1"


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        (
            lambda c: c.entry() + c.entry(),
            "Illegal to list model adder multiple times in config list",
        ),
        (
            lambda c: c.entry(base="models/adder"),
            "Expected model adder to have an absolute path or URI; got "
            "base_path()=models/adder",
        ),
        (
            lambda c: c.entry(platform="caffe"),
            "Illegal to change a model's platform. For model adder platform was "
            "tensorflow and new platform requested is caffe",
        ),
        (
            lambda c: c.entry(platform="caffe", name="other"),
            "Model other requests unsupported platform caffe",
        ),
    ],
)
def test_a_config_that_is_wrong_is_refused(client, entries, text):
    assert refused(client, entries(client)) == (INVALID, text)
    assert client.add() == 3


def test_a_config_without_a_list_is_refused(client):
    expected = (
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
        "ModelConfigList is currently supported"
    )
    assert refused(client, config="custom_model_config {}") == (INVALID, expected)


def test_a_new_model_without_versions_is_refused(client, tmp_path):
    entries = client.entry() + client.entry(name="other", base=tmp_path / "none")
    code, text = refused(client, entries)
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "does not exist" in text
    assert client.add() == 3


def test_a_new_model_that_does_not_load_is_named(client, tmp_path):
    damaged = tmp_path / "damaged"
    (damaged / "1").mkdir(parents=True)
    (damaged / "1/saved_model.pb").write_bytes(b"damaged")
    entries = client.entry() + client.entry(name="other", base=damaged)
    code, text = refused(client, entries)
    assert code == grpc.StatusCode.UNKNOWN
    assert text.startswith(
        "1 model(s) did not become available: {{{name: other version: 1} due to error: "
    )
    assert client.add() == 3


def test_a_server_that_is_open_to_others_refuses_it(adders, tmp_path):
    for allowed in (False, True):
        base = tmp_path / str(allowed)
        for client in serving(
            adders, base, host="0.0.0.0", allow_reload_by_rpc=allowed
        ):
            if allowed:
                client.reload(client.entry(specific(1)))
                assert client.add() == 1
            else:
                code, text = refused(client, client.entry())
                assert code == grpc.StatusCode.PERMISSION_DENIED
                assert "--allow_reload_by_rpc" in text
