"""Replays a version's warm-up requests before it turns available."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.server.errors import ServingError, invalid
from serving.server.model_config import ModelConfig
from serving.server.prediction import run_classify, run_predict
from serving.server.session import LoadedModel, Runtime

_FILE: Final = Path("assets.extra/tf_serving_warmup_requests")
_MOST: Final = 1000


WarmedUp = Callable[[str, str, float], None]
"""Takes a version's folder, how its warm-up ended, and its seconds."""


def load(
    config: ModelConfig,
    number: int,
    warm_up: bool,
    runtime: Callable[[Path], Runtime] = lambda _: Runtime(),
    warmed_up: WarmedUp | None = None,
) -> LoadedModel:
    """Loads a version and, where asked, replays its warm-up requests.

    Args:
        config: The model.
        number: The version.
        warm_up: Whether to replay them.
        runtime: Says how to compute the version in a folder.
        warmed_up: Is told of a warm-up.

    Raises:
        ServingError: It does not load, or a warm-up request fails.
    """
    path = config.folders().get(number, config.base_path / str(number))
    model = LoadedModel(path, runtime(path))
    if not warm_up or not (path / _FILE).is_file():
        return model
    started, status = time.monotonic(), "OK"
    try:
        for log in _requests(path / _FILE):
            _replay(model, number, log)
    except ServingError as error:
        status = error.code.name
        raise
    finally:
        if warmed_up is not None:
            warmed_up(str(path), status, time.monotonic() - started)
    return model


def _requests(path: Path) -> Iterator[prediction_log_pb2.PredictionLog]:
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    try:
        for record in itertools.islice(records, _MOST):
            yield prediction_log_pb2.PredictionLog.FromString(record)
    except (tf.errors.DataLossError, DecodeError):
        raise invalid("Please verify your warmup data is in TFRecord format.") from None


def _replay(
    model: LoadedModel, number: int, log: prediction_log_pb2.PredictionLog
) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        run_predict(model, number, log.predict_log.request)
    elif kind == "classify_log":
        run_classify(model, number, log.classify_log.request)
    else:
        raise invalid(
            f"warm-up cannot replay {kind}; write predict_log or classify_log"
        )
