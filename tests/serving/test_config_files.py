"""The messages that no wheel carries, and what is refused in them."""

from pathlib import Path

import pytest

from serving.server.batching.parameters import BatchingParameters
from serving.server.config import ServerConfig
from serving.server.config_files import read_batching, read_config_files
from serving.server.errors import WrongConfigError

CONTAINER = Path(__file__).parents[2] / "serving" / "container"


def config(tmp_path, name, text, **given):
    path = tmp_path / "file.config"
    path.write_text(text)
    return ServerConfig(model_base_path=Path("x"), **{name: path}, **given)


def batching(tmp_path, text):
    return read_config_files(
        config(tmp_path, "batching_parameters_file", text, enable_batching=True)
    ).batching


def test_every_batching_parameter_is_read(tmp_path):
    text = """
    max_batch_size { value: 64 } batch_timeout_micros { value: 5 }
    max_enqueued_batches { value: 7 } num_batch_threads { value: 3 }
    thread_pool_name { value: "mine" }
    allowed_batch_sizes: 8 allowed_batch_sizes: 32
    pad_variable_length_inputs: true
    enable_large_batch_splitting { value: true }
    max_execution_batch_size { value: 32 }
    """
    assert batching(tmp_path, text) == BatchingParameters(
        *(64, 5, 7, 3, "mine", (8, 32), True, True, 32)
    )


def test_what_is_left_out_has_tf_servings_defaults(tmp_path):
    found = batching(tmp_path, "")
    assert (found.max_batch_size, found.batch_timeout_micros) == (1000, 0)
    assert (found.max_enqueued_batches, found.thread_pool_name) == (
        10,
        "batch_threads",
    )


@pytest.mark.parametrize("name", ["batching.config", "batching-cpu.config"])
def test_the_files_of_the_container_can_be_used(name):
    assert read_batching(CONTAINER / name).max_batch_size == 64


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 2",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry "
            "was 2; expected 4",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: [4, 4]",
            "must be monotonically increasing",
        ),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be 1 or more"),
        ("max_batch_size { value: -1 }", "max_batch_size must be 1 or more"),
        (
            "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 5 }",
            "from 1 to max_batch_size, 4, got 5",
        ),
        ("max_batch_size: 4", "cannot be read as BatchingParameters"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(tmp_path, text, reason):
    with pytest.raises(WrongConfigError, match=reason):
        batching(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path):
    missing = ServerConfig(
        model_base_path=Path("x"), monitoring_config_file=tmp_path / "none"
    )
    with pytest.raises(WrongConfigError, match="cannot be read: No such file"):
        read_config_files(missing)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true path: "/m" }', "/m"),
        ('prometheus_config { path: "/m" }', None),
        ("", None),
    ],
)
def test_metrics_have_the_configured_path(tmp_path, text, path):
    found = read_config_files(config(tmp_path, "monitoring_config_file", text))
    assert found.metrics_path == path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('server_key: "/etc/key.pem" server_cert: "x"', "must hold the PEM text"),
        (
            'server_key: "-----BEGIN" server_cert: "-----BEGIN" client_verify: true',
            "client_verify needs custom_ca",
        ),
    ],
)
def test_tls_without_what_it_needs_is_refused(tmp_path, text, reason):
    with pytest.raises(WrongConfigError, match=reason):
        read_config_files(config(tmp_path, "ssl_config_file", text))


def test_a_refusal_shows_nothing_of_a_damaged_key(tmp_path):
    damaged = config(tmp_path, "ssl_config_file", 'server_key: secret "')
    with pytest.raises(WrongConfigError) as caught:
        read_config_files(damaged)
    assert "secret" not in str(caught.value)
