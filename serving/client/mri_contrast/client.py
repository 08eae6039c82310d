"""Asks a server over gRPC which contrast a scan has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mri_contrast.answers import Answer, VersionStatus
from mri_contrast.errors import (
    DeadlineExceeded,
    ModelNotFound,
    ServerUnavailable,
    UnreadableScan,
)
from mri_contrast.scans import Scan, Source, find_parts, read_scan
from mri_contrast.slices import cut

if TYPE_CHECKING:
    from types import TracebackType

# A server that starts is found within a second; grpc's own steps grow to two minutes.
_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_POLL_SECONDS = 0.1


class Client:
    """A connection to one model on one server; threads may share it.

    Only uint8 slices of 150 x 150 pixels leave the machine: no header, no file name.
    """

    def __init__(
        self,
        target: str,
        *,
        model: str = "mri_contrast",
        label: str | None = None,
        version: int | None = None,
        timeout: float = 10.0,
        accept: float | None = None,
    ) -> None:
        """Prepares the connection; it is made at the first call.

        Args:
            target: HOST:PORT of the server's gRPC port, or a gRPC name such as
                `dns:///mri-serving:8500`.
            model: the model's name on the server.
            label: asks the version with this label, such as "stable" or "canary".
            version: asks this version; without label and version, the newest.
            timeout: seconds that each call may take.
            accept: least probability of a verdict that is not "unsure", in [0, 1];
                without it, what the model was calibrated for.

        Raises:
            ValueError: an empty target or a URL, both label and version, a timeout
                that is not positive, `accept` outside [0, 1].
        """
        if not target or target.startswith(("http://", "https://")):
            raise ValueError(
                f"target is {target!r}; give HOST:PORT of the gRPC port, such as "
                "localhost:8500"
            )
        if label is not None and version is not None:
            raise ValueError(
                f"label {label!r} and version {version} are both given; give one"
            )
        if not timeout > 0:
            raise ValueError(f"timeout is {timeout}; it must be a positive number (s)")
        if accept is not None and not 0.0 <= accept <= 1.0:
            raise ValueError(f"accept is {accept}; it must be in [0, 1]")
        # Imported here: a program that only reads scans needs neither.
        import grpc

        from mri_contrast._protocol import Protocol

        self._protocol = Protocol(target, model, label, version, timeout, accept)
        self._channel = grpc.insecure_channel(target, options=_CHANNEL_OPTIONS)
        self._methods: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def identify(self, source: Source) -> Answer:
        """Tells the contrast of the one scan that a source holds.

        Args:
            source: whatever `read_scan` takes: a path (file, folder or zip), bytes, a
                binary file object, an array, a `Scan`.

        Raises:
            UnreadableScan: the scan cannot be read or used, or there is more than one.
            ServerUnavailable, DeadlineExceeded, ModelNotFound, ClientTooOld,
            RejectedByServer: the server did not answer the question.
        """
        return self._ask(read_scan(source))

    def identify_many(self, source: Source) -> Iterator[Answer]:
        """Tells the contrast of every series of a source, one after the other.

        A series is read only when its answer is asked for, so that one at a time is
        in memory. One that cannot be read does not stop the rest.

        Raises:
            UnreadableScan: nothing there is a scan; or, after the last answer, some
                series could not be read (the message gives their count).
            ServerUnavailable, DeadlineExceeded, ModelNotFound, ClientTooOld,
            RejectedByServer: as `identify`; the series after it are not asked for.
        """
        parts = find_parts(source)
        failures: list[UnreadableScan] = []
        for part in parts:
            try:
                answer = self._ask(part.read())
            except UnreadableScan as error:
                failures.append(error)
            else:
                yield answer
        if failures:
            raise UnreadableScan(
                f"{len(failures)} of {len(parts)} series could not be read, the others "
                f"are answered; the first: {failures[0]}"
            ) from failures[0]

    def model_status(self) -> tuple[VersionStatus, ...]:
        """Lists the versions of the model that the server knows, newest first.

        Raises:
            ServerUnavailable, DeadlineExceeded, ModelNotFound, RejectedByServer.
        """
        request = self._protocol.status_request()
        response = self._call("ModelService/GetModelStatus", request)
        return self._protocol.statuses(response)

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Returns as soon as the model answers; useful right after a start.

        Args:
            timeout: seconds to wait at most.

        Raises:
            ServerUnavailable, DeadlineExceeded, ModelNotFound: still so at the end.
            ClientTooOld, RejectedByServer: at once, since waiting would not help.
        """
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            try:
                response = self._call(
                    "PredictionService/GetModelMetadata",
                    self._protocol.metadata_request(),
                    at_most=max(left, _POLL_SECONDS),
                )
                self._protocol.check_signature(response)
                return
            except (ServerUnavailable, DeadlineExceeded, ModelNotFound):
                if left <= _POLL_SECONDS:
                    raise
            time.sleep(_POLL_SECONDS)

    def _ask(self, scan: Scan) -> Answer:
        slices = cut(scan)
        request = self._protocol.predict_request(slices)
        response = self._call("PredictionService/Predict", request)
        return self._protocol.answer(response, scan, len(slices))

    def _call(self, method: str, request: Any, at_most: float | None = None) -> Any:
        """Calls a method of TF Serving; raises the errors that `identify` documents."""
        import grpc

        timeout = self._protocol.timeout
        call = self._methods.get(method) or self._method(method, request)
        try:
            return call(
                request, timeout=timeout if at_most is None else min(timeout, at_most)
            )
        except grpc.RpcError as error:
            raise self._protocol.error(
                error.code().name, error.details() or ""
            ) from error

    def _method(self, method: str, request: Any) -> Callable[..., Any]:
        """Prepares a method; kept, since that takes half as long as a call."""
        from mri_contrast._messages import RESPONSES

        call: Callable[..., Any] = self._channel.unary_unary(
            f"/tensorflow.serving.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=RESPONSES[method].FromString,
        )
        self._methods[method] = call
        return call
