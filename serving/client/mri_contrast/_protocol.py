"""What is said between client and server: requests, answers and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mri_contrast import _messages as m
from mri_contrast.answers import Answer, VersionStatus
from mri_contrast.errors import (
    ClientTooOld,
    DeadlineExceeded,
    ModelNotFound,
    MriContrastError,
    RejectedByServer,
    ServerUnavailable,
)
from mri_contrast.scans import Scan
from mri_contrast.verdict import combine

SIGNATURE = "slices_v1"
_AUX = "aux_"


@dataclass(frozen=True, slots=True)
class Protocol:
    """Makes requests to one model on one server, and understands its answers.

    Attributes:
        target, model, label, version, timeout, accept: as `Client` was given them.
    """

    target: str
    model: str
    label: str | None
    version: int | None
    timeout: float
    accept: float | None

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

    def answer(self, response: Any, scan: Scan, slices: int) -> Answer:
        """Combines what was said of each slice.

        Raises:
            RejectedByServer: the response makes no sense.
        """
        try:
            outputs = {
                name: m.to_array(response.outputs[name])
                for name in sorted(response.outputs)
            }
            accept = self.accept
            if accept is None:
                accept = _first(outputs, "aux_accept")
            verdict = combine(
                _classes(outputs, slices),
                rho=_first(outputs, "aux_rho"),
                accept=accept,
            )
            gadolinium = _mean_probability(outputs, "aux_gadolinium", slices)
        except ValueError as error:
            raise RejectedByServer(
                f"the answer of model {self.model!r} makes no sense: {error}"
            ) from error
        return Answer(
            contrast=verdict.contrast,
            probability=verdict.probability,
            probabilities=verdict.probabilities,
            slices=slices,
            model_version=response.model_spec.version.value,
            part=scan.part,
            notes=scan.notes,
            gadolinium=gadolinium,
        )

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
        if code == "UNAVAILABLE":
            return ServerUnavailable(
                f"no server answers at {self.target}: start one, or check HOST:PORT "
                f"(`make serve` starts one in a checkout of mri-contrast; {details})"
            )
        if code == "DEADLINE_EXCEEDED":
            return DeadlineExceeded(
                f"{self.target} did not answer in time: try again, or allow more than "
                f"{self.timeout:g} s"
            )
        if code == "NOT_FOUND" or "Unrecognized servable version label" in details:
            return ModelNotFound(
                f"{self.target} serves no {self._asked()}: publish a model there, or "
                f"check its name, version and label ({details})"
            )
        if code == "FAILED_PRECONDITION" and "Serving signature key" in details:
            return self._too_old()
        return RejectedByServer(f"{self.target} answered {code}: {details}")

    def _asked(self) -> str:
        which = f"model {self.model!r}"
        if self.label is not None:
            which += f" with label {self.label!r}"
        if self.version is not None:
            which += f" version {self.version}"
        return which

    def _too_old(self) -> ClientTooOld:
        return ClientTooOld(
            f"model {self.model!r} has no signature {SIGNATURE!r}: install the client "
            "that belongs to it (pip install --upgrade mri-contrast)"
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


def _mean_probability(
    outputs: dict[str, npt.NDArray[Any]], name: str, slices: int
) -> float | None:
    """The mean of an output over the slices; None where the model has no such one."""
    if name not in outputs:
        return None
    values = outputs[name]
    # `all` is also False of NaN.
    if values.shape != (slices,) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"output {name!r} of shape {values.shape} holds no probability for each "
            f"of {slices} slices"
        )
    return float(values.mean(dtype=np.float64))
