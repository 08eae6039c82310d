"""What is said between client and server: requests, answers and errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast import _messages as m
from mri_contrast._cut import Cut, Planes
from mri_contrast.answers import Answer, VersionStatus
from mri_contrast.errors import (
    ClientTooOld,
    DeadlineExceeded,
    ModelNotFound,
    MriContrastError,
    RejectedByServer,
    ServerUnavailable,
)
from mri_contrast.hints import conflicts
from mri_contrast.verdict import combine

SIGNATURE = "slices_v1"
MOST_SLICES = 64
"""In one call: what the served graphs are warmed up for at most."""

_AUX = "aux_"


@dataclass(frozen=True, slots=True)
class Protocol:
    """Makes requests to one model on one server, and understands its answers.

    Attributes:
        target, model, label, version, timeout, accept, planes: as `Client` was given
            them.

    Raises:
        ValueError: an empty target or a URL, both label and version, a timeout that is
            not positive, `accept` outside [0, 1], unknown `planes`.
    """

    target: str
    model: str
    label: str | None
    version: int | None
    timeout: float
    accept: float | None
    planes: Planes = "all"

    def __post_init__(self) -> None:
        if not self.target or self.target.startswith(("http://", "https://")):
            raise ValueError(
                f"target is {self.target!r}; give HOST:PORT of the gRPC port, such as "
                "localhost:8500"
            )
        if self.label is not None and self.version is not None:
            raise ValueError(
                f"label {self.label!r} and version {self.version} are both given; give "
                "one"
            )
        if not self.timeout > 0:
            raise ValueError(
                f"timeout is {self.timeout}; it must be a positive number (s)"
            )
        if self.accept is not None and not 0.0 <= self.accept <= 1.0:
            raise ValueError(f"accept is {self.accept}; it must be in [0, 1]")
        if self.planes not in ("all", "axial"):
            raise ValueError(f"planes is {self.planes!r}; it must be all or axial")

    def predict_request(self, slices: npt.NDArray[np.uint8]) -> Any:
        """Asks for the log-probabilities of `(n, 150, 150)` uint8 slices."""
        request = m.PredictRequest()
        self._name_model(request.model_spec)
        request.model_spec.signature_name = SIGNATURE
        request.inputs["slices"].CopyFrom(m.to_tensor(slices))
        return request

    def metadata_request(self) -> Any:
        """Asks for the model's signatures, which needs a version that is loaded."""
        request = m.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name_model(request.model_spec)
        return request

    def status_request(self) -> Any:
        """Asks for the states of all versions."""
        request = m.GetModelStatusRequest()
        request.model_spec.name = self.model
        return request

    def _name_model(self, spec: Any) -> None:
        spec.name = self.model
        if self.label is not None:
            spec.version_label = self.label
        if self.version is not None:
            spec.version.value = self.version

    def answers(self, response: Any, cuts: Sequence[Cut]) -> list[Answer]:
        """Combines what was said of each slice to one answer a scan.

        Args:
            response: of a `predict_request` of all slices of `cuts`, in their order.
            cuts: the scans that were asked about together.

        Raises:
            RejectedByServer: the response makes no sense.
        """
        try:
            outputs = {
                name: m.to_array(response.outputs[name])
                for name in sorted(response.outputs)
            }
            count = sum(len(cut.slices) for cut in cuts)
            classes = _classes(outputs, count)
            rho, accept = _first(outputs, "aux_rho"), self.accept
            if accept is None:
                accept = _first(outputs, "aux_accept")
            gadolinium = _probabilities(outputs, "aux_gadolinium", count)
            found, start = [], 0
            for cut in cuts:
                own = slice(start, start + len(cut.slices))
                verdict = combine(
                    {name: values[own] for name, values in classes.items()},
                    rho=rho,
                    accept=accept,
                )
                found.append((cut, verdict, _mean(gadolinium, own)))
                start = own.stop
        except ValueError as error:
            raise RejectedByServer(
                f"the answer of model {self.model!r} makes no sense: {error}"
            ) from error
        return [
            Answer(
                contrast=verdict.contrast,
                probability=verdict.probability,
                probabilities=verdict.probabilities,
                slices=len(cut.slices),
                model_version=response.model_spec.version.value,
                part=cut.part,
                notes=cut.notes,
                gadolinium=contrast_agent,
                conflict=conflicts(cut.hints, verdict.contrast),
            )
            for cut, verdict, contrast_agent in found
        ]

    def check_signature(self, response: Any) -> None:
        """Raises ClientTooOld where the model's metadata lack our signature."""
        signatures = m.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        if SIGNATURE not in signatures.signature_def:
            raise self._too_old()

    def statuses(self, response: Any) -> tuple[VersionStatus, ...]:
        """The versions in a status response, newest first."""
        found = sorted(response.model_version_status, key=lambda v: -int(v.version))
        return tuple(
            VersionStatus(v.version, _state(v), v.status.error_message) for v in found
        )

    def error(self, code: str, details: str) -> MriContrastError:
        """The error of this package for a gRPC status code and its text."""
        if code == "UNAVAILABLE" and "handshake failed" in details:
            return ServerUnavailable(
                f"no TLS connection to {self.target}: check the certificate of the "
                f"server, its name and its dates, and whom this client trusts "
                f"({details})"
            )
        if code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED"):
            return ServerUnavailable(
                f"no server answers at {self.target}: start one, or check HOST:PORT "
                f"(`make serve` starts one in a checkout of mri-contrast; {details})"
            )
        if code == "DEADLINE_EXCEEDED":
            return DeadlineExceeded(
                f"{self.target} did not answer in time: check that it runs, try again, "
                f"or allow more than {self.timeout:g} s"
            )
        if code == "NOT_FOUND" or "Unrecognized servable version label" in details:
            return ModelNotFound(
                f"{self.target} serves no {self._asked()}: publish a model there, or "
                f"check its name, version and label ({details})"
            )
        if code == "FAILED_PRECONDITION" and "Serving signature key" in details:
            return self._too_old()
        if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            return RejectedByServer(
                f"{self.target} does not let this client in: give a valid token in "
                f"Transport(metadata=...) ({details})"
            )
        return RejectedByServer(f"{self.target} answered {code}: {details}")

    def _asked(self) -> str:
        which = f"model {self.model!r}"
        if self.label is not None:
            which += f" with label {self.label!r}"
        if self.version is not None:
            which += f" version {self.version}"
        return which

    def _too_old(self) -> ClientTooOld:
        from mri_contrast import __version__

        return ClientTooOld(
            f"model {self.model!r} has no signature {SIGNATURE!r}, which mri-contrast "
            f"{__version__} asks for: install the client that belongs to the model "
            "(pip install --upgrade mri-contrast)"
        )


def packed(cuts: Sequence[Cut]) -> Iterator[list[Cut]]:
    """Groups scans for as few calls as hold them; one scan is never divided.

    So each verdict comes from one version, even while another takes its place.
    """
    group: list[Cut] = []
    for cut in cuts:
        if sum(len(each.slices) for each in [*group, cut]) > MOST_SLICES:
            yield group
            group = []
        group.append(cut)
    if group:
        yield group


def joined(cuts: Sequence[Cut]) -> npt.NDArray[np.uint8]:
    """The slices of all, `(n, 150, 150)`; not copied where there is one scan."""
    if len(cuts) == 1:
        return cuts[0].slices
    return np.concatenate([cut.slices for cut in cuts])


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
        shapes = {name: values.shape for name, values in outputs.items()}
        raise ValueError(
            f"outputs have the shapes {shapes}; a float32 ({slices},) for each class "
            "is needed"
        )
    return classes


def _first(outputs: dict[str, npt.NDArray[Any]], name: str) -> float:
    """The value of an output that is the same for every slice."""
    if name not in outputs or outputs[name].size == 0:
        raise ValueError(f"there is no output {name!r}")
    return float(outputs[name].flat[0])


def _probabilities(
    outputs: dict[str, npt.NDArray[Any]], name: str, slices: int
) -> npt.NDArray[Any] | None:
    """An output that is a probability; None where the model has no such one."""
    if name not in outputs:
        return None
    values = outputs[name]
    # `all` is also False of NaN.
    if values.shape != (slices,) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"output {name!r} of shape {values.shape} holds no probability for each "
            f"of {slices} slices"
        )
    return values


def _mean(values: npt.NDArray[Any] | None, own: slice) -> float | None:
    return None if values is None else float(values[own].mean(dtype=np.float64))
