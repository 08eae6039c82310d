from pathlib import Path

import pytest

from serving.server.config import ServerConfig
from serving.server.flags import parse

MODEL = "--model_base_path=models/mri_contrast"


def test_defaults_are_loopback_and_tf_servings_ports():
    config = parse([MODEL])
    assert (config.host, config.port, config.rest_api_port) == ("127.0.0.1", 8500, 8501)
    assert config.model_base_path == Path("models/mri_contrast")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ([], True),
        (["--enable_model_warmup"], True),
        (["--enable_model_warmup=true"], True),
        (["--enable_model_warmup=false"], False),
    ],
)
def test_booleans_have_tf_servings_forms(given, value):
    assert parse([MODEL, *given]).enable_model_warmup is value


def test_reloads_and_retries_are_as_in_tf_serving_by_default():
    config = parse([MODEL])
    assert (config.max_num_load_retries, config.load_retry_interval_micros) == (5, 6e7)
    assert config.num_request_iterations_for_warmup == 1
    assert not config.allow_version_labels_for_unavailable_models
    assert not config.allow_reload_by_rpc
    assert not config.rest_api_enable_cors_support


def test_port_zero_turns_a_port_off():
    assert parse([MODEL, "--rest_api_port=0"]).rest_api_port is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "make publish"),
        ([MODEL, "--port=70000"], "from 0 to 65535, got 70000"),
        ([MODEL, "--port=0", "--rest_api_port=0"], "both ports are off"),
        ([MODEL, "--grpc_max_threads=0"], "1 or more, got 0"),
        ([MODEL, "--enable_model_warmup=maybe"], "true or false, got 'maybe'"),
        ([MODEL, "--enable_model_warm=true"], "unrecognized arguments"),
        ([MODEL, "--rest_api_timeout_in_ms=0"], "1 or more, got 0"),
        ([MODEL, "--log_format=xml"], "one of auto, plain, json, got 'xml'"),
        ([MODEL, "--grpc_channel_arguments=a"], "must be name=value"),
        ([MODEL, "--use_alts_credentials"], "ALTS is not supported"),
        (
            [
                MODEL,
                "--tensorflow_session_parallelism=1",
                "--tensorflow_inter_op_parallelism=1",
            ],
            "sets both kinds of threads",
        ),
    ],
)
def test_wrong_flags_end_with_code_2_and_a_reason(arguments, text, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_a_configuration_needs_a_model():
    with pytest.raises(ValueError, match="no model is named"):
        ServerConfig()


def test_flags_that_do_nothing_here_are_accepted_in_every_form_and_remembered():
    given = ["--enable_grpc_healthcheck_service", "--num_load_threads=2"]
    config = parse([MODEL, *given])
    assert config.ignored_flags == (
        "enable_grpc_healthcheck_service",
        "num_load_threads",
    )
    assert parse([MODEL]).ignored_flags == ()


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--version"])
    assert ended.value.code == 0
    assert "TensorFlow 2." in capsys.readouterr().out
