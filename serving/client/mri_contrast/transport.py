"""How calls travel: TLS, retries, hedging, keepalive, tokens, compression."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Metadata: TypeAlias = "Sequence[tuple[str, str]]"

# gRPC makes at most five attempts, whatever a service config asks for.
MOST_RETRIES = 4
# Safe to repeat: Predict changes nothing. RESOURCE_EXHAUSTED is a request that waited
# too long in TF Serving's batching queue; UNAVAILABLE a full queue or no server.
_RETRIABLE = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
# Not GetModelMetadata, by which `wait_until_ready` looks again and again itself.
_RETRIED = {"PredictionService": "Predict", "ModelService": "GetModelStatus"}


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom to trust and, for mutual TLS, who we are.

    Attributes:
        authority: PEM of who signed the server's certificate, or its path; None takes
            the list that comes with gRPC.
        certificate: PEM (or its path) that this client shows, with `key`.
        key: PEM of its private key, or its path.
        server_name: the name in the server's certificate where `target` has another.

    Raises:
        ValueError: one of certificate and key without the other.
    """

    authority: bytes | str | os.PathLike[str] | None = None
    certificate: bytes | str | os.PathLike[str] | None = None
    key: bytes | str | os.PathLike[str] | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError(
                "only one of certificate and key is given; mutual TLS needs both, TLS "
                "neither"
            )


@dataclass(frozen=True, slots=True)
class Transport:
    """How a client's calls travel.

    Attributes:
        tls: `Tls(...)`, True for `Tls()`, False for plain text.
        metadata: sent with every call, such as `[("authorization", "Bearer ...")]`, or
            a function that gives it, called for each call (tokens that expire).
        retries: further attempts within the deadline where no server answers or it is
            too busy, 0 to 4, after 0.2, 0.5, 1.2 and 2 s on average.
        hedge_after: seconds after which a second call is made and the first answer
            taken; None never does. It doubles the load of a server that is slow.
        keepalive: seconds between pings on an idle connection. gRPC servers as they
            come, TF Serving's too, hang up on pings more often than every 300 s.
        compression: of requests, "gzip" or "deflate"; pays on slow networks only.
        interceptors: gRPC client interceptors (`grpc.aio` ones for `AsyncClient`), such
            as those of OpenTelemetry.

    Raises:
        ValueError: a value out of range.
    """

    tls: Tls | bool = False
    metadata: Metadata | Callable[[], Metadata] = ()
    retries: int = 3
    hedge_after: float | None = None
    keepalive: float = 330.0
    compression: Literal["gzip", "deflate"] | None = None
    interceptors: Sequence[Any] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.retries <= MOST_RETRIES:
            raise ValueError(
                f"retries is {self.retries}; it must be in 0 to {MOST_RETRIES}"
            )
        if self.hedge_after is not None and not self.hedge_after > 0:
            raise ValueError(
                f"hedge_after is {self.hedge_after}; it must be positive (s), or None"
            )
        if not self.keepalive > 0:
            raise ValueError(f"keepalive is {self.keepalive}; it must be positive (s)")
        if self.compression not in (None, "gzip", "deflate"):
            raise ValueError(
                f"compression is {self.compression!r}; it must be gzip, deflate or None"
            )

    def call_metadata(self) -> Metadata | None:
        """What goes with the next call."""
        given = self.metadata() if callable(self.metadata) else self.metadata
        return tuple(given) or None


def open_channel(target: str, transport: Transport) -> Any:
    """A channel for threads; it connects at the first call."""
    import grpc

    options = {
        "options": _options(transport),
        "compression": _compression(transport),
    }
    if transport.tls:
        secure = _credentials(transport.tls)
        channel = grpc.secure_channel(target, secure, **options)
    else:
        channel = grpc.insecure_channel(target, **options)
    if transport.interceptors:
        channel = grpc.intercept_channel(channel, *transport.interceptors)
    return channel


def open_async_channel(target: str, transport: Transport) -> Any:
    """A channel for the event loop that runs now; it connects at the first call."""
    import grpc.aio

    options = {
        "options": _options(transport),
        "compression": _compression(transport),
        "interceptors": list(transport.interceptors),
    }
    if transport.tls:
        secure = _credentials(transport.tls)
        return grpc.aio.secure_channel(target, secure, **options)
    return grpc.aio.insecure_channel(target, **options)


def _options(transport: Transport) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        # A server that starts is found in a second; gRPC's own steps grow to minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.keepalive_time_ms", round(transport.keepalive * 1000)),
        # Also how long Linux waits for sent bytes to be acknowledged: a connection that
        # a firewall forgot is given up after this, not after a quarter of an hour.
        ("grpc.keepalive_timeout_ms", 5000),
        ("grpc.keepalive_permit_without_calls", 1),
        # A larger request is not retried, and gRPC's own limit is 256 KiB, where a scan
        # has 540 and a call 1 440 kB at most.
        ("grpc.per_rpc_retry_buffer_size", 2**22),
        ("grpc.service_config", json.dumps(_service_config(transport))),
    ]
    if isinstance(transport.tls, Tls) and transport.tls.server_name is not None:
        name = transport.tls.server_name
        options.append(("grpc.ssl_target_name_override", name))
    return options


def _service_config(transport: Transport) -> dict[str, Any]:
    """https://github.com/grpc/grpc/blob/master/doc/service_config.md ."""
    method: dict[str, Any] = {
        "name": [
            {"service": f"tensorflow.serving.{service}", "method": name}
            for service, name in _RETRIED.items()
        ]
    }
    if transport.retries:
        method["retryPolicy"] = {
            "maxAttempts": transport.retries + 1,
            "initialBackoff": "0.2s",
            "maxBackoff": "2s",
            "backoffMultiplier": 2.5,
            "retryableStatusCodes": _RETRIABLE,
        }
    return {"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [method]}


def _compression(transport: Transport) -> Any:
    import grpc

    names = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
    return names[transport.compression] if transport.compression else None


def _credentials(tls: Tls | bool) -> Any:
    import grpc

    given = tls if isinstance(tls, Tls) else Tls()
    return grpc.ssl_channel_credentials(
        _pem(given.authority), _pem(given.key), _pem(given.certificate)
    )


def _pem(given: bytes | str | os.PathLike[str] | None) -> bytes | None:
    return given if given is None or isinstance(given, bytes) else _file(given)


def _file(path: str | os.PathLike[str]) -> bytes:
    return Path(path).read_bytes()
