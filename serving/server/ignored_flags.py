"""TF Serving's flags that are accepted and change nothing here, and why."""

import argparse
from typing import Any, Final

REASONS: Final = {
    "enable_grpc_healthcheck_service": "the health service always answers",
    "enable_profiler": "there is no profiler service; see `make profile`",
    "enable_serialization_as_tensor_content": "answers use typed fields",
    "enable_signature_method_name_check": "signatures are judged by inputs and outputs",
    "flush_filesystem_caches": "the system's file cache is left alone",
    "mixed_precision": "a model is computed as it was exported",
    "num_load_threads": "versions are loaded one after another",
    "num_tflite_interpreters_per_pool": "TensorFlow Lite models are not served",
    "num_tflite_pools": "TensorFlow Lite models are not served",
    "num_unload_threads": "versions are unloaded one after another",
    "per_process_gpu_memory_fraction": "TensorFlow takes the memory that it needs",
    "platform_config_file": "every model is a SavedModel",
    "prefer_tflite_model": "TensorFlow Lite models are not served",
    "remove_unused_fields_from_bundle_metagraph": "nothing is removed",
    "skip_initialize_tpu": "there is no TPU support",
    "tensorflow_session_config_file": "give --tensorflow_intra_op_parallelism and "
    "--tensorflow_inter_op_parallelism",
    "thread_pool_factory_config_file": "TensorFlow's own thread pools are used",
    "xla_cpu_compilation_enabled": "a model is computed as it was exported",
    "xla_gpu_compilation_enabled": "a model is computed as it was exported",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Makes a parser accept them."""
    group = parser.add_argument_group("flags of TF Serving that do nothing here")
    for name, reason in REASONS.items():
        group.add_argument(
            f"--{name}",
            nargs="?",
            const="true",
            default=argparse.SUPPRESS,
            help=reason,
        )


def take(given: dict[str, Any]) -> tuple[str, ...]:
    """Removes them from what was parsed; returns the names of those that were given."""
    return tuple(name for name in REASONS if given.pop(name, None) is not None)
