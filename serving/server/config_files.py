"""Reads the three config files of TF Serving whose messages no wheel carries.

`BatchingParameters`, `SSLConfig` and `MonitoringConfig` are built here at run time, in
a pool of their own, with TF Serving's names and field numbers.
"""

import dataclasses
from pathlib import Path
from typing import Any, Final

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from serving.server.batching.parameters import BatchingParameters
from serving.server.config import ServerConfig
from serving.server.errors import WrongConfigError

_PACKAGE: Final = "tensorflow.serving"
_METRICS_PATH: Final = "/monitoring/prometheus/metrics"

# Number and type of each field.
_MESSAGES: Final = {
    "BatchingParameters": {
        "max_batch_size": (1, "Int64Value"),
        "batch_timeout_micros": (2, "Int64Value"),
        "max_enqueued_batches": (3, "Int64Value"),
        "num_batch_threads": (4, "Int64Value"),
        "thread_pool_name": (5, "StringValue"),
        "allowed_batch_sizes": (6, "int64s"),
        "pad_variable_length_inputs": (7, "bool"),
        "enable_large_batch_splitting": (8, "BoolValue"),
        "max_execution_batch_size": (9, "Int64Value"),
    },
    "SSLConfig": {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "custom_ca": (3, "string"),
        "client_verify": (4, "bool"),
    },
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
}

_Field: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "int64s": _Field.TYPE_INT64,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
}


@dataclasses.dataclass(frozen=True, slots=True)
class SslConfig:
    """TLS of the gRPC port.

    Attributes:
        server_key: Private key, PEM.
        server_cert: Certificate chain, PEM.
        custom_ca: Certificates that sign clients' ones, PEM; empty for none.
        client_verify: Whether clients must show a certificate.
    """

    server_key: bytes
    server_cert: bytes
    custom_ca: bytes
    client_verify: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigFiles:
    """What the files say that the flags name.

    Attributes:
        batching: None where batching is off.
        ssl: None for plain text.
        metrics_path: Where Prometheus reads; None where it does not.
    """

    batching: BatchingParameters | None
    ssl: SslConfig | None
    metrics_path: str | None


def read_config_files(config: ServerConfig) -> ConfigFiles:
    """Reads the files that the flags name.

    Raises:
        WrongConfigError: One cannot be used; says which and why.
    """
    return ConfigFiles(
        batching=_batching(config),
        ssl=_ssl(config.ssl_config_file) if config.ssl_config_file else None,
        metrics_path=_metrics_path(config.monitoring_config_file)
        if config.monitoring_config_file
        else None,
    )


def read_batching(path: Path) -> BatchingParameters:
    """Reads a file of BatchingParameters.

    Raises:
        WrongConfigError: It cannot be read, or its values do not fit together.
    """
    message = _read(path, "BatchingParameters")
    given: dict[str, Any] = {
        field.name: value.value if hasattr(value, "value") else value
        for field, value in message.ListFields()
    }
    given["allowed_batch_sizes"] = tuple(message.allowed_batch_sizes)
    try:
        return BatchingParameters(**given)
    except ValueError as error:
        raise WrongConfigError(f"{path}: {error}") from None


def _batching(config: ServerConfig) -> BatchingParameters | None:
    if not config.enable_batching:
        return None
    if config.batching_parameters_file is None:
        return BatchingParameters(thread_pool_name="model_server_batch_threads")
    return read_batching(config.batching_parameters_file)


def _ssl(path: Path) -> SslConfig:
    message = _read(path, "SSLConfig")
    for name in ("server_key", "server_cert"):
        if "-----BEGIN" not in getattr(message, name):
            raise WrongConfigError(f"{path}: {name} must hold the PEM text itself")
    if message.client_verify and not message.custom_ca:
        raise WrongConfigError(
            f"{path}: client_verify needs custom_ca, the PEM text of the certificates "
            "that sign those of the clients"
        )
    return SslConfig(
        message.server_key.encode(),
        message.server_cert.encode(),
        message.custom_ca.encode(),
        message.client_verify,
    )


def _metrics_path(path: Path) -> str | None:
    prometheus = _read(path, "MonitoringConfig").prometheus_config
    if not prometheus.enable:
        return None
    where = prometheus.path or _METRICS_PATH
    if not where.startswith("/"):
        raise WrongConfigError(f"{path}: path must begin with /, got {where!r}")
    return str(where)


def _read(path: Path, name: str) -> Any:
    message = _message_class(name)()
    try:
        return text_format.Parse(path.read_text(), message)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise WrongConfigError(f"{path} cannot be read: {reason}") from None
    except text_format.ParseError as error:
        # Without the parser's excerpt, which may be of a private key.
        line = error.GetLine()
        where = f", line {line}" if line else ""
        raise WrongConfigError(
            f"{path} cannot be read as {name} in text form{where}"
        ) from None


def _message_class(name: str) -> Any:
    found = _POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return message_factory.GetMessageClass(found)


def _pool() -> descriptor_pool.DescriptorPool:
    wrappers = "google/protobuf/wrappers.proto"
    file = descriptor_pb2.FileDescriptorProto(
        name="config_files.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            field = message.field.add(name=field_name, number=number)
            repeated = kind == "int64s"
            field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
                continue
            field.type = _Field.TYPE_MESSAGE
            package = "google.protobuf" if kind.endswith("Value") else _PACKAGE
            field.type_name = f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL: Final = _pool()
