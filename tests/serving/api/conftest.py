"""A server of models that are nobody's: what any SavedModel may look like."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer

DTYPES = (
    *(tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.complex64, tf.complex128),
    *(tf.int8, tf.int16, tf.int32, tf.int64),
    *(tf.uint8, tf.uint16, tf.uint32, tf.uint64),
    *(tf.bool, tf.string),
)
EXAMPLES = [tf.TensorSpec((None,), tf.string, name="inputs")]


@dataclasses.dataclass(frozen=True)
class Zoo:
    """A running server and ways to reach it."""

    predict: prediction_service_pb2_grpc.PredictionServiceStub
    models: model_service_pb2_grpc.ModelServiceStub
    channel: grpc.Channel
    rest: httpx.Client


def parsed(inputs: tf.Tensor) -> tf.Tensor:
    feature = {"x": tf.io.FixedLenFeature((1,), tf.float32)}
    return tf.io.parse_example(inputs, feature)["x"]


class HalfPlusTwo(tf.Module):
    """TF Serving's own example: x / 2 + 2, in every form that it can be asked in."""

    def __init__(self) -> None:
        super().__init__()
        self.a = tf.Variable(0.5)
        self.b = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def predict(self, x):
        return {"y": self.a * x + self.b}

    @tf.function(input_signature=EXAMPLES)
    def regress(self, inputs):
        return {"outputs": self.a * parsed(inputs) + self.b}

    @tf.function(input_signature=EXAMPLES)
    def classify(self, inputs):
        y = self.a * parsed(inputs) + self.b
        names = tf.broadcast_to(tf.constant(["y", "-y"]), (tf.shape(y)[0], 2))
        return {"classes": names, "scores": tf.concat([y, -y], axis=1)}

    @tf.function(input_signature=EXAMPLES)
    def scores(self, inputs):
        return {"scores": self.a * parsed(inputs) + self.b}

    @tf.function(input_signature=EXAMPLES)
    def flat_scores(self, inputs):
        return {"scores": tf.ones(tf.shape(inputs)[0])}

    @tf.function(input_signature=EXAMPLES)
    def doubles(self, inputs):
        return {"outputs": tf.cast(parsed(inputs), tf.float64)}

    @tf.function(input_signature=EXAMPLES)
    def wide(self, inputs):
        return {"outputs": tf.ones((tf.shape(inputs)[0], 2))}

    @tf.function(input_signature=EXAMPLES)
    def halved(self, inputs):
        return {"outputs": tf.ones(tf.shape(inputs)[0] // 2)}


class Sums(tf.Module):
    """Two inputs of two kinds, two outputs."""

    @tf.function(
        input_signature=[
            tf.TensorSpec((None,), tf.float32, name="a"),
            tf.TensorSpec((None,), tf.int32, name="b"),
        ]
    )
    def both(self, a, b):
        b = tf.cast(b, tf.float32)
        return {"sum": a + b, "product": a * b}

    @tf.function(
        input_signature=[
            tf.TensorSpec((None,), tf.float32, name="a"),
            tf.TensorSpec((), tf.float32, name="scale"),
        ]
    )
    def scaled(self, a, scale):
        return {"scaled": a * scale}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="a")])
    def total(self, a):
        return {"total": tf.reduce_sum(a), "a": a + 0.0}


class Texts(tf.Module):
    """Strings, and nothing to learn: a SavedModel without variables."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def upper(self, text):
        return {"upper": tf.strings.upper(text), "same_bytes": tf.identity(text)}


class Types(tf.Module):
    """Gives back what it was given."""


def save(module: tf.Module, path: Path, **signatures: object) -> None:
    signatures["serving_default"] = next(iter(signatures.values()))
    tf.saved_model.save(module, str(path), signatures)


def set_default(path: Path, signature: str, alias: str, value: object) -> None:
    """Writes a default value into a SavedModel's signature."""
    file = path / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    definition = model.meta_graphs[0].signature_def[signature]
    definition.defaults[alias].CopyFrom(tf.make_tensor_proto(value))
    file.write_bytes(model.SerializeToString())


def config_text(root: Path, *names: str) -> str:
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{root / name}" '
        'model_platform: "tensorflow" }'
        for name in names
    )
    return f"model_config_list {{ {entries} }}"


@pytest.fixture(scope="session")
def models_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("zoo")
    half = HalfPlusTwo()
    save(
        half,
        root / "half_plus_two/00000123",
        predict=half.predict,
        regress=half.regress,
        classify=half.classify,
        scores=half.scores,
        flat_scores=half.flat_scores,
        doubles=half.doubles,
        wide=half.wide,
        halved=half.halved,
    )
    sums = Sums()
    save(sums, root / "sums/1", both=sums.both, scaled=sums.scaled, total=sums.total)
    set_default(root / "sums/1", "scaled", "scale", 3.0)
    texts = Texts()
    save(texts, root / "texts/1", upper=texts.upper)
    types = Types()
    same = {
        dtype.name: tf.function(
            lambda x: {"y": tf.identity(x)},
            input_signature=[tf.TensorSpec(None, dtype, name="x")],
        )
        for dtype in DTYPES
    }
    save(types, root / "types/1", **same)
    return root


@pytest.fixture(scope="session")
def zoo(models_root: Path) -> Iterator[Zoo]:
    config = models_root / "models.config"
    config.write_text(
        config_text(models_root, "half_plus_two", "sums", "texts", "types")
    )
    server = EmbeddedServer(
        ServerConfig(
            port=0,
            rest_api_port=0,
            model_config_file=config,
            rest_api_enable_cors_support=True,
        )
    )
    with (
        server as (grpc_port, rest_port),
        grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
        httpx.Client(base_url=f"http://127.0.0.1:{rest_port}", timeout=60) as rest,
    ):
        yield Zoo(
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
            channel,
            rest,
        )
