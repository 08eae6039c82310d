"""Replays a version's warm-up requests before it turns available."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.intact import intact
from serving.server.classification import run_classify
from serving.server.errors import ServingError, invalid
from serving.server.model_config import ModelConfig
from serving.server.multi_inference import run_multi_inference
from serving.server.prediction import run_predict
from serving.server.regression import run_regress
from serving.server.session import LoadedModel, Runtime

_FILE: Final = Path("assets.extra/tf_serving_warmup_requests")
_MOST: Final = 1000

_RUNS: Final = {
    "predict_log": run_predict,
    "classify_log": run_classify,
    "regress_log": run_regress,
    "multi_inference_log": run_multi_inference,
}


WarmedUp = Callable[[str, str, float], None]
"""Takes a version's folder, how its warm-up ended, and its seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Replays:
    """What is done with a version's warm-up requests.

    Attributes:
        wanted: Whether they are replayed.
        times: How often each of them is.
        ended: Is told of a warm-up that is over.
    """

    wanted: bool = True
    times: int = 1
    ended: WarmedUp | None = None


def load(
    config: ModelConfig,
    number: int,
    replays: Replays,
    runtime: Callable[[Path], Runtime] = lambda _: Runtime(),
) -> LoadedModel:
    """Loads a version and, where asked, replays its warm-up requests.

    Args:
        config: The model.
        number: The version.
        replays: Of its warm-up requests.
        runtime: Says how to compute the version in a folder.

    Raises:
        ServingError: It does not load, or a warm-up request fails.
    """
    path = config.folders().get(number, config.base_path / str(number))
    model = LoadedModel(intact(path), runtime(path))
    if not replays.wanted or not (path / _FILE).is_file():
        return model
    started, status = time.monotonic(), "OK"
    try:
        for log in _requests(path / _FILE):
            for _ in range(replays.times):
                _replay(model, number, log)
    except ServingError as error:
        status = error.code.name
        raise
    finally:
        if replays.ended is not None:
            replays.ended(str(path), status, time.monotonic() - started)
    return model


def _requests(path: Path) -> Iterator[prediction_log_pb2.PredictionLog]:
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    try:
        for position, record in enumerate(records):
            if position >= _MOST:
                raise invalid(
                    f"Number of warmup records exceeds the maximum ({_MOST}) at {path}"
                )
            yield prediction_log_pb2.PredictionLog.FromString(record)
    except tf.errors.DataLossError:
        raise ServingError(
            grpc.StatusCode.DATA_LOSS,
            f"{path} is damaged. Please verify your warmup data is in TFRecord format.",
        ) from None
    except DecodeError:
        raise invalid(f"Failed to parse warmup record from {path}") from None


def _replay(
    model: LoadedModel, number: int, log: prediction_log_pb2.PredictionLog
) -> None:
    kind = log.WhichOneof("log_type")
    if kind is None:
        return
    if kind not in _RUNS:
        field = log.DESCRIPTOR.fields_by_name[kind].number
        raise ServingError(
            grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {field}"
        )
    _RUNS[kind](model, number, getattr(log, kind).request)
