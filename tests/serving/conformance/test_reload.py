"""HandleReloadConfigRequest: models, policies and labels changed by RPC."""

import pytest
from tensorflow_serving.apis import model_management_pb2

from tests.serving.conformance import ask
from tests.serving.conformance.ask import (
    FAILED_PRECONDITION,
    INVALID,
    NOT_FOUND,
    available,
    floats,
    reload,
)
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.process import listens, until

row = pytest.mark.row

ANOTHER_ADDRESS = "127.0.0.2"
"""Reaches this machine, but not what listens on 127.0.0.1 alone."""


@pytest.fixture(scope="module")
def numbers(library):
    """An entry for the model `number`, all versions unless told otherwise."""

    def entry(policy="all", **given):
        return Model("number", library / "number", policy, **given)

    return entry


@pytest.fixture(scope="module")
def reloaded(launcher, numbers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reload")
    config = write_config(folder / "models.config", numbers())
    return launcher.start(f"--model_config_file={config}")


def configure(server, *models):
    answer = server.models.HandleReloadConfigRequest(reload(*models), timeout=120)
    assert (answer.status.error_code, answer.status.error_message) == (0, "")


def refused(server, request):
    return ask.refusal(server.models.HandleReloadConfigRequest, request)


@row("grpc.reload", "grpc.reload-status")
def test_a_reload_answers_once_the_new_model_can_be_called(reloaded, library, numbers):
    configure(reloaded, numbers(), Model("newcomer", library / "half_plus_three"))
    assert ask.answer(reloaded, "newcomer", x=floats(2)) == [4]
    configure(reloaded, numbers())
    until(lambda: not available(reloaded, "newcomer"), "the model unloaded")
    code, text = ask.refusal(
        reloaded.predict.Predict, ask.predict("newcomer", x=floats(2))
    )
    assert code is NOT_FOUND
    assert text == "Servable not found for request: Latest(newcomer)"


@row("versions.policy-changed")
def test_a_new_policy_loads_and_unloads_what_it_says(reloaded, numbers):
    configure(reloaded, numbers("specific { versions: 2 }"))
    until(lambda: available(reloaded, "number") == [2], "version 2 alone")
    configure(reloaded, numbers())
    until(lambda: available(reloaded, "number") == [3, 2, 1], "all versions")


def by_label(server, label):
    return ask.answer(server, "number", label=label, x=floats(0))[0]


@row("labels.by-reload", "labels.moved", "labels.removed")
def test_labels_are_assigned_moved_and_removed(reloaded, numbers):
    configure(reloaded, numbers(labels={"stable": 1, "canary": 3}))
    assert (by_label(reloaded, "stable"), by_label(reloaded, "canary")) == (1, 3)
    configure(reloaded, numbers(labels={"stable": 2}))
    assert by_label(reloaded, "stable") == 2
    refused = ask.refusal(
        reloaded.predict.Predict, ask.predict("number", label="canary", x=floats(0))
    )
    assert refused == (INVALID, "Unrecognized servable version label: canary")


@row("errors.reload-label", "labels.not-to-unavailable")
def test_a_label_does_not_move_to_what_is_not_available(reloaded, numbers):
    configure(reloaded, numbers(labels={"stable": 2}))
    code, text = refused(reloaded, reload(numbers(labels={"stable": 9})))
    assert code is FAILED_PRECONDITION
    assert text.startswith(
        "Request to assign label to version 9 of model number, which is not currently "
        "available for inference"
    )
    assert by_label(reloaded, "stable") == 2


@row("errors.reload-no-list")
def test_no_list_is_refused(reloaded):
    text = (
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
        "ModelConfigList is currently supported"
    )
    code, said = refused(reloaded, model_management_pb2.ReloadConfigRequest())
    assert code is INVALID
    assert said.startswith(text)


@row("errors.reload-twice", "errors.reload-keeps")
def test_a_model_listed_twice_is_refused_and_changes_nothing(reloaded, numbers):
    code, said = refused(reloaded, reload(numbers(), numbers("latest {}")))
    assert code is INVALID
    assert "Illegal to list model number multiple times in config list" in said
    assert available(reloaded, "number") == [3, 2, 1]


@row("errors.reload-relative")
def test_a_relative_path_is_refused(reloaded, numbers):
    request = reload(numbers(), Model("relative", "some/folder"))
    code, said = refused(reloaded, request)
    assert code is INVALID
    assert (
        "Expected model relative to have an absolute path or URI; got "
        "base_path()=some/folder" in said
    )


@row("errors.reload-platform")
def test_another_platform_is_refused(reloaded, numbers):
    code, said = refused(reloaded, reload(numbers(platform="another")))
    assert code is INVALID
    assert "Illegal to change a model's platform" in said


@row("beyond.reload-open")
def test_an_open_server_refuses_a_reload(launcher, library, numbers):
    server = launcher.start(
        f"--model_base_path={library / 'number'}",
        "--model_name=number",
        "--host=0.0.0.0",
    )
    code, text = refused(server, reload(numbers()))
    assert code.name in ("PERMISSION_DENIED", "UNIMPLEMENTED")
    assert "--allow_reload_by_rpc" in text
    assert ask.answer(server, "number", x=floats(0)) == [3]
    assert listens(server.port, ANOTHER_ADDRESS)
    server.stop()


@row("beyond.loopback")
def test_a_server_listens_on_loopback_alone(reloaded):
    assert listens(reloaded.port)
    assert not listens(reloaded.port, ANOTHER_ADDRESS)
    assert not listens(reloaded.rest_port, ANOTHER_ADDRESS)


@row("beyond.reload-allowed")
def test_an_open_server_takes_a_reload_where_allowed(launcher, library, numbers):
    server = launcher.start(
        f"--model_base_path={library / 'number'}",
        "--model_name=number",
        "--host=0.0.0.0",
        "--allow_reload_by_rpc",
    )
    configure(server, numbers())
    assert available(server, "number") == [3, 2, 1]
    server.stop()
