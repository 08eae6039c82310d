"""Every flag in a manifest is one of TF Serving, and the embedded server knows it."""

from collections.abc import Callable

import pytest

from serving.server import flags, ignored_flags
from tests.k8s.conftest import SERVING, Object
from tests.k8s.rules.objects import containers

# Of tensorflow_model_server 2.20: tensorflow_serving/model_servers/main.cc.
TF_SERVING = {
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_batching",
    "enable_grpc_healthcheck_service",
    "enable_model_warmup",
    "file_system_poll_wait_seconds",
    "grpc_channel_arguments",
    "grpc_max_threads",
    "max_num_load_retries",
    "model_base_path",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "model_name",
    "monitoring_config_file",
    "port",
    "rest_api_num_threads",
    "rest_api_port",
    "rest_api_timeout_in_ms",
    "ssl_config_file",
    "tensorflow_inter_op_parallelism",
    "tensorflow_intra_op_parallelism",
}


@pytest.mark.parametrize("name", SERVING)
def test_every_flag_is_known_to_both_servers(
    name: str, objects_of: Callable[[str], list[Object]]
):
    found = 0
    for _, _, container in containers(objects_of(name)):
        if container["command"] != ["/usr/bin/tensorflow_model_server"]:
            continue
        found += 1
        names = [flag.removeprefix("--").split("=")[0] for flag in container["args"]]
        assert set(names) <= TF_SERVING
        assert len(names) == len(set(names)), "a flag is given twice"
        # It ends the process where it does not know one, or cannot read its value.
        config = flags.parse(container["args"])
        assert set(config.ignored_flags) == set(names) & set(ignored_flags.REASONS)
    assert found
