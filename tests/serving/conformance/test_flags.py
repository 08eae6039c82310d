"""The command line, and starts that fail."""

import shutil

import pytest

from tests.serving.conformance import ask
from tests.serving.conformance.ask import floats
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.process import listens
from tests.serving.conformance.saved_models import write_corrupt

row = pytest.mark.row

DEFAULTS = {
    "rest_api_timeout_in_ms": "30000",
    "rest_api_num_threads": "8",
    "rest_api_enable_cors_support": "false",
    "grpc_max_threads": "8",
    "grpc_socket_path": "",
    "grpc_channel_arguments": "",
    "model_name": "default",
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": "0",
    "file_system_poll_wait_seconds": "1",
    "max_num_load_retries": "5",
    "load_retry_interval_micros": "60000000",
    "num_load_threads": "0",
    "num_unload_threads": "0",
    "flush_filesystem_caches": "true",
    "tensorflow_session_parallelism": "0",
    "tensorflow_intra_op_parallelism": "0",
    "tensorflow_inter_op_parallelism": "0",
    "saved_model_tags": "serve",
    "ssl_config_file": "",
    "monitoring_config_file": "",
    "enable_batching": "false",
    "batching_parameters_file": "",
    "enable_per_model_batching_parameters": "false",
    "allow_version_labels_for_unavailable_models": "false",
    "enable_model_warmup": "true",
    "num_request_iterations_for_warmup": "1",
    "enable_profiler": "true",
    "enable_grpc_healthcheck_service": "false",
    "enable_serialization_as_tensor_content": "false",
    "enable_signature_method_name_check": "false",
    "prefer_tflite_model": "false",
    "version": "false",
}


@row("flags.all", "flags.default-name")
def test_every_flag_is_taken_at_its_default(launcher, library):
    server = launcher.start(
        f"--model_base_path={library / 'number'}",
        *(f"--{name}={value}" for name, value in DEFAULTS.items()),
    )
    assert ask.answer(server, "default", x=floats(0)) == [3]
    server.stop()


@row("flags.rest-off")
def test_rest_is_off_at_port_zero(launcher, library):
    server = launcher.start(f"--model_base_path={library / 'number'}", rest=False)
    assert ask.answer(server, "default", x=floats(0)) == [3]
    assert not listens(server.rest_port)
    server.stop()


@pytest.fixture
def number(library):
    return f"--model_base_path={library / 'number'}"


@row("flags.unknown")
def test_an_unknown_flag_stops_the_start(launcher, number):
    code, said = launcher.ended(number, "--no_such_flag=1")
    assert code != 0
    assert "no_such_flag" in said


@row("flags.not-a-number")
def test_a_value_of_the_wrong_kind_stops_the_start(launcher, number):
    code, said = launcher.ended(number, "--grpc_max_threads=many")
    assert code != 0
    assert "grpc_max_threads" in said


@row("flags.boolean-wrong")
def test_a_boolean_of_another_value_stops_the_start(launcher, number):
    code, said = launcher.ended(number, "--enable_model_warmup=perhaps")
    assert code != 0
    assert "enable_model_warmup" in said


@row("flags.no-model")
def test_no_model_stops_the_start(launcher):
    code, said = launcher.ended()
    assert code != 0
    assert "model_base_path" in said


@row("flags.version")
def test_version_names_the_version_and_ends(launcher):
    code, said = launcher.ended("--version")
    assert code == 0
    assert any(character.isdigit() for character in said)


@row("flags.config-missing")
def test_a_config_file_that_is_not_there_stops_the_start(launcher, tmp_path):
    path = tmp_path / "nobody.config"
    code, said = launcher.ended(f"--model_config_file={path}")
    assert code != 0
    assert path.name in said


@row("flags.config-bad")
def test_a_config_file_that_cannot_be_read_stops_the_start(launcher, tmp_path):
    path = tmp_path / "bad.config"
    path.write_text("this is no model config {")
    code, said = launcher.ended(f"--model_config_file={path}")
    assert code != 0
    assert path.name in said


@row("flags.config-twice")
def test_a_model_listed_twice_stops_the_start(launcher, library, tmp_path):
    entry = Model("number", library / "number")
    path = write_config(tmp_path / "models.config", entry, entry)
    code, said = launcher.ended(f"--model_config_file={path}")
    assert code != 0
    assert "Illegal to list model number multiple times in config list" in said


@row("flags.config-relative")
def test_a_relative_path_stops_the_start(launcher, tmp_path):
    path = write_config(tmp_path / "models.config", Model("m", "some/folder"))
    code, said = launcher.ended(f"--model_config_file={path}")
    assert code != 0
    assert "Expected model m to have an absolute path or URI" in said


@row("labels.start-refused")
def test_labels_of_the_first_config_need_their_flag(launcher, library, tmp_path):
    entry = Model("number", library / "number", labels={"stable": 3})
    path = write_config(tmp_path / "models.config", entry)
    code, said = launcher.ended(f"--model_config_file={path}")
    assert code != 0
    assert "label" in said


@row("flags.tags")
def test_tags_that_the_model_lacks_stop_the_start(launcher, number):
    flags = ("--saved_model_tags=serve,gpu", "--max_num_load_retries=0")
    code, said = launcher.ended(number, *flags)
    assert code != 0
    assert "gpu" in said


@row("versions.corrupt-first")
def test_a_corrupt_version_alone_stops_the_start(launcher, tmp_path):
    write_corrupt(tmp_path / "corrupt" / "1")
    code, said = launcher.ended(
        f"--model_base_path={tmp_path / 'corrupt'}",
        "--model_name=spoilt",
        "--max_num_load_retries=0",
    )
    assert code != 0
    assert "spoilt" in said


@row("beyond.missing-model")
@pytest.mark.parametrize("there", [False, True])
def test_a_missing_model_ends_the_start_with_a_message(
    launcher, library, tmp_path, there
):
    base = tmp_path / "nobody"
    if there:
        shutil.copytree(library / "number" / "1", base / "1.part")
    code, said = launcher.ended(f"--model_base_path={base}")
    assert code == 2
    assert "nobody" in said.splitlines()[-1]
