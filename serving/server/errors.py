"""Refusals with the status codes and texts of TensorFlow Serving."""

from typing import Final

import grpc

_LONGEST: Final = 1024
"""TensorFlow Serving cuts messages here (`grpc_status_util.cc`)."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A call was refused.

    Attributes:
        code: gRPC status code.
        text: What the caller reads.
    """

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text if len(text) <= _LONGEST else text[:_LONGEST] + "...TRUNCATED"


class NothingToServeError(Exception):
    """There is no model where the flags say; the message says what to do."""


class WrongConfigError(Exception):
    """A config file cannot be used; the message says which and why."""


def invalid(text: str) -> ServingError:
    """Returns the refusal of a wrong request."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, text)


def from_runtime(code: int, text: str) -> ServingError:
    """Returns the refusal for an error of the TensorFlow runtime; codes are gRPC's."""
    return ServingError(_CODES.get(code, grpc.StatusCode.UNKNOWN), text)
