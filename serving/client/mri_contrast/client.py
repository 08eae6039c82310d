"""Asks a server over gRPC which contrast a scan has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mri_contrast.errors import (
    ClientTooOld,
    DeadlineExceeded,
    ModelNotFound,
    MriContrastError,
    RejectedByServer,
    ServerUnavailable,
)
from mri_contrast.scans import Scan, Source, read_scan, read_series
from mri_contrast.slices import cut
from mri_contrast.verdict import combine

if TYPE_CHECKING:
    from types import TracebackType

SIGNATURE = "slices_v1"
_AUX = "aux_"
# A server that starts is found within a second; grpc's own steps grow to two minutes.
_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one scan.

    Attributes:
        contrast: a class of the model ("T1", "T2", "FLAIR", "other"), or "unsure".
        probability: of the most probable class, in [0, 1].
        probabilities: of each class, summing to 1, in order of name.
        slices: how many slices were looked at.
        model_version: that answered.
        part: the series, where the source holds several; else None.
        notes: what the reader had to choose, e.g. "4-D: first of 120 volumes used".
    """

    contrast: str
    probability: float
    probabilities: dict[str, float]
    slices: int
    model_version: int
    part: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """A version of the model on the server.

    Attributes:
        version: its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: why it failed; empty where it did not.
    """

    version: int
    state: str
    error: str


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
        self._target = target
        self._model = model
        self._label = label
        self._version = version
        self._timeout = timeout
        self._accept = accept
        self._channel = self._open()

    def _open(self) -> Any:
        import grpc  # a program that only reads scans need not load it

        return grpc.insecure_channel(self._target, options=_CHANNEL_OPTIONS)

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

        Raises:
            As `identify`, except that several series are no error.
        """
        for scan in read_series(source):
            yield self._ask(scan)

    def model_status(self) -> tuple[VersionStatus, ...]:
        """Lists the versions of the model that the server knows, newest first.

        Raises:
            ServerUnavailable, DeadlineExceeded, ModelNotFound, RejectedByServer.
        """
        from mri_contrast import _messages as m

        request = m.GetModelStatusRequest()
        request.model_spec.name = self._model
        answer = self._call(
            "ModelService/GetModelStatus",
            request,
            m.GetModelStatusResponse,
            timeout=self._timeout,
        )
        return tuple(
            VersionStatus(v.version, _state(v), v.status.error_message)
            for v in sorted(answer.model_version_status, key=lambda v: -v.version)
        )

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
                self._check_signature(timeout=max(left, _POLL_SECONDS))
                return
            except (ServerUnavailable, DeadlineExceeded, ModelNotFound):
                if left <= _POLL_SECONDS:
                    raise
            time.sleep(_POLL_SECONDS)

    def _check_signature(self, *, timeout: float) -> None:
        """Asks for the model's signatures, which needs a version that is loaded."""
        from mri_contrast import _messages as m

        request = m.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name_model(request.model_spec)
        answer = self._call(
            "PredictionService/GetModelMetadata",
            request,
            m.GetModelMetadataResponse,
            timeout=min(timeout, self._timeout),
        )
        signatures = m.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        if SIGNATURE not in signatures.signature_def:
            raise ClientTooOld(_too_old(self._model))

    def _ask(self, scan: Scan) -> Answer:
        from mri_contrast import _messages as m

        slices = cut(scan)
        request = m.PredictRequest()
        self._name_model(request.model_spec)
        request.model_spec.signature_name = SIGNATURE
        request.inputs["slices"].CopyFrom(m.to_tensor(slices))
        answer = self._call(
            "PredictionService/Predict",
            request,
            m.PredictResponse,
            timeout=self._timeout,
        )
        try:
            outputs = {
                name: m.to_array(answer.outputs[name])
                for name in sorted(answer.outputs)
            }
            verdict = combine(
                _classes(outputs, len(slices)),
                rho=_first(outputs, "aux_rho"),
                accept=self._accept
                if self._accept is not None
                else _first(outputs, "aux_accept"),
            )
        except ValueError as error:
            raise RejectedByServer(
                f"the answer of model {self._model!r} makes no sense: {error}"
            ) from error
        return Answer(
            contrast=verdict.contrast,
            probability=verdict.probability,
            probabilities=verdict.probabilities,
            slices=len(slices),
            model_version=answer.model_spec.version.value,
            part=scan.part,
            notes=scan.notes,
        )

    def _name_model(self, spec: Any) -> None:
        spec.name = self._model
        if self._label is not None:
            spec.version_label = self._label
        if self._version is not None:
            spec.version.value = self._version

    def _call(self, method: str, request: Any, response: Any, *, timeout: float) -> Any:
        import grpc

        call: Callable[..., Any] = self._channel.unary_unary(
            f"/tensorflow.serving.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            return call(request, timeout=timeout)
        except grpc.RpcError as error:
            raise self._typed(error.code().name, error.details() or "") from error

    def _typed(self, code: str, details: str) -> MriContrastError:
        """The error of this package for a gRPC status."""
        if code == "UNAVAILABLE":
            return ServerUnavailable(
                f"no server answers at {self._target}: start one, or check HOST:PORT "
                f"({details})"
            )
        if code == "DEADLINE_EXCEEDED":
            return DeadlineExceeded(
                f"{self._target} did not answer in time: try again, or allow more than "
                f"{self._timeout:g} s"
            )
        if code == "NOT_FOUND" or "Unrecognized servable version label" in details:
            return ModelNotFound(
                f"{self._target} serves no {self._asked()}: publish a model there, or "
                f"check its name, version and label ({details})"
            )
        if code == "FAILED_PRECONDITION" and "Serving signature key" in details:
            return ClientTooOld(_too_old(self._model))
        return RejectedByServer(f"{self._target} answered {code}: {details}")

    def _asked(self) -> str:
        which = f"model {self._model!r}"
        if self._label is not None:
            which += f" with label {self._label!r}"
        if self._version is not None:
            which += f" version {self._version}"
        return which


def _too_old(model: str) -> str:
    return (
        f"model {model!r} has no signature {SIGNATURE!r}: install the client that "
        "belongs to it (pip install --upgrade mri-contrast)"
    )


def _state(status: Any) -> str:
    states = status.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number
    return str(states[status.state].name) if status.state in states else "UNKNOWN"


def _classes(
    outputs: dict[str, npt.NDArray[Any]], slices: int
) -> dict[str, npt.NDArray[Any]]:
    """The outputs that are classes: float32 `(n,)`, not named `aux_...`."""
    classes = {
        name: values
        for name, values in outputs.items()
        if values.dtype == np.float32 and not name.startswith(_AUX)
    }
    if not classes or any(v.shape != (slices,) for v in classes.values()):
        raise ValueError(
            f"outputs have the shapes { {n: v.shape for n, v in outputs.items()} }; a "
            f"float32 ({slices},) for each class is needed"
        )
    return classes


def _first(outputs: dict[str, npt.NDArray[Any]], name: str) -> float:
    """The value of an output that is the same for every slice."""
    if name not in outputs or outputs[name].size == 0:
        raise ValueError(f"there is no output {name!r}")
    return float(outputs[name].flat[0])
