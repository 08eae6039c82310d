"""Replays a version's warm-up requests before it turns available."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.intact import intact
from serving.server.errors import invalid
from serving.server.model_config import ModelConfig
from serving.server.prediction import run_classify, run_predict
from serving.server.session import LoadedModel

_FILE: Final = Path("assets.extra/tf_serving_warmup_requests")
_MOST: Final = 1000


def load(config: ModelConfig, number: int, warm_up: bool) -> LoadedModel:
    """Loads a version and, where asked, replays its warm-up requests.

    Raises:
        ServingError: It does not load, or a warm-up request fails.
    """
    path = config.folders().get(number, config.base_path / str(number))
    model = LoadedModel(intact(path))
    if warm_up and (path / _FILE).is_file():
        for log in _requests(path / _FILE):
            _replay(model, number, log)
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
