"""Whether the requests that servers replay before a version is available succeed."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.gate.refusal import GateRefusedError
from serving.gate.session import Call
from serving.warmup import FILE


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One warm-up request.

    Attributes:
        signature: That it asks for.
        value: Its single input.
    """

    signature: str
    value: np.ndarray


def requests(model: Path) -> list[Request]:
    """Reads a SavedModel's warm-up requests.

    Raises:
        GateRefusedError: There are none, or they are damaged.
    """
    if not (model / FILE).is_file():
        raise GateRefusedError(
            f"{FILE} is missing: the first request of every size would be slow"
        )
    # Data sets would want eager execution, and the model is loaded into a graph.
    records = tf.compat.v1.io.tf_record_iterator(str(model / FILE))
    try:
        logs = [prediction_log_pb2.PredictionLog.FromString(each) for each in records]
        return [_read(log) for log in logs]
    except (tf.errors.DataLossError, DecodeError, ValueError) as error:
        raise GateRefusedError(f"{FILE} is damaged: {error}") from error


def replay(given: Sequence[Request], calls: Mapping[str, Call]) -> None:
    """Asks all of it.

    Raises:
        GateRefusedError: One fails: servers would not make the version available.
    """
    for one in given:
        if one.signature not in calls:
            raise GateRefusedError(
                f"a warm-up request asks for signature {one.signature}, of which there "
                f"are {', '.join(sorted(calls))}"
            )
        try:
            calls[one.signature](one.value)
        except (ValueError, tf.errors.OpError) as error:
            told = " ".join(str(error).split())[:300]
            raise GateRefusedError(
                f"a warm-up request of {len(one.value)} for {one.signature} fails, so "
                f"no server would make the version available: {told}"
            ) from error


def _read(log: prediction_log_pb2.PredictionLog) -> Request:
    if log.HasField("classify_log"):
        asked = log.classify_log.request
        examples = asked.input.example_list.examples
        value = np.array([each.SerializeToString() for each in examples], object)
    else:
        asked = log.predict_log.request
        (tensor,) = asked.inputs.values()
        value = tf.make_ndarray(tensor)
    return Request(asked.model_spec.signature_name, value)
