"""A run, a registry and a server made from a network that trains in no time: never."""

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from pipeline.contrasts import CLASSES
from pipeline.model import build
from pipeline.presets import preset
from pipeline.runs import Calibration, Run, load_run, write_json
from serving import export, registry
from serving.gate import Rules
from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer

NAME = "mri_contrast"

UNMEASURED = Rules(allow_unmeasured=True)
"""Runs that were never trained have no shards, and no test needs real scans."""


@dataclasses.dataclass(frozen=True)
class Serving:
    """A running server and ways to reach it."""

    server: EmbeddedServer
    channel: grpc.Channel
    predict: prediction_service_pb2_grpc.PredictionServiceStub
    models: model_service_pb2_grpc.ModelServiceStub
    rest: httpx.Client
    target: str


def small_network(seed: int = 7, *, heads: bool = True) -> keras.Model:
    """A convolution whose random weights tell images clearly apart."""
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((150, 150, 1))
    x = keras.layers.Conv2D(8, 5, strides=3, activation="relu")(pixels)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.5)(x)
    wide = keras.initializers.RandomNormal(stddev=8.0)
    values = {"logits": 4, "plane": 3, "gadolinium": 1} if heads else {"logits": 4}
    return keras.Model(
        pixels,
        {
            name: keras.layers.Dense(count, kernel_initializer=wide)(x)
            for name, count in values.items()
        },
    )


def save_run(path: Path, network: keras.Model) -> Path:
    path.mkdir(parents=True)
    network.save(path / "model.keras")
    write_json(
        path / "config.json",
        {
            "classes": CLASSES,
            "manifest_sha256": "ab" * 32,
            "hyper": {"filters": 8},
            "shards": "data/shards/none",
        },
    )
    write_json(path / "evaluation.json", {"volumes": {"accuracy": 0.5}})
    Calibration(temperature=1.5, rho=0.25, accept=0.6).save(path)
    return path


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("runs") / "small", small_network())


@pytest.fixture(scope="session")
def run(run_folder: Path) -> Run:
    return load_run(run_folder)


@pytest.fixture(scope="session")
def headless_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same network without the heads of plane and gadolinium."""
    folder = tmp_path_factory.mktemp("runs") / "headless"
    return load_run(save_run(folder, small_network(heads=False)))


@pytest.fixture(scope="session")
def symmetric_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A network that does not care how slices lie, with statistics of a few."""
    network = build(preset("small").hyper)
    network(np.random.default_rng(0).random((8, 150, 150, 1), "f4"), training=True)
    return load_run(save_run(tmp_path_factory.mktemp("runs") / "symmetric", network))


@pytest.fixture(autouse=True)
def without_real_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate measures none in the tests of other things; that takes a minute."""
    monkeypatch.delenv("MRI_REAL_DATA", raising=False)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory, run_folder: Path) -> Path:
    """A registry with version 1, published from the run, as `stable`, and its copy,
    version 2, as `canary`."""
    root = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MRI_REAL_DATA", raising=False)
        export.publish(run_folder, root, rules=UNMEASURED)
    models = registry.Registry(root)
    with models.workspace() as workspace:
        models.publish(
            Path(shutil.copytree(models.folder / "1", workspace / "model")), "a copy"
        )
    models.promote(2, "canary")
    return root


@pytest.fixture(scope="session")
def saved_model(root: Path) -> Path:
    return root / NAME / "1"


@pytest.fixture(scope="session")
def serving(root: Path) -> Iterator[Serving]:
    """Serves versions 1 (stable) and 2 (canary) of the registry."""
    server = EmbeddedServer(
        ServerConfig(
            port=0,
            rest_api_port=0,
            model_config_file=root / "models.config",
            enable_model_warmup=False,
        )
    )
    grpc_port, rest_port = server.start()
    with (
        grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
        httpx.Client(base_url=f"http://127.0.0.1:{rest_port}", timeout=60) as rest,
    ):
        yield Serving(
            server,
            channel,
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
            rest,
            f"127.0.0.1:{grpc_port}",
        )
    server.stop()


@pytest.fixture(scope="session")
def slices() -> np.ndarray:
    """(5, 150, 150) uint8 slices that differ in brightness and texture."""
    noise = np.random.default_rng(3).random((5, 150, 150))
    brightness = np.linspace(0.2, 1, 5)[:, None, None]
    return (255 * brightness * noise).astype(np.uint8)


@pytest.fixture(scope="session")
def expected(run: Run, slices: np.ndarray) -> np.ndarray:
    """(5, 4) float32: what Keras and the calibration say about the slices."""
    outputs = run.model.predict(slices[..., None] / np.float32(255), verbose=0)
    scaled = outputs["logits"] / run.calibration.temperature
    return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))


class Adder(tf.Module):
    """The smallest model: adds its version, so that answers tell who gave them."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = tf.Variable(float(version))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def add(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x + self.version}


@pytest.fixture(scope="session")
def adders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 to 3 of the adder."""
    base = tmp_path_factory.mktemp("adders")
    for version in (1, 2, 3):
        adder = Adder(version)
        tf.saved_model.save(
            adder, str(base / str(version)), {"serving_default": adder.add}
        )
    return base


@pytest.fixture
def serve(adders: Path) -> Iterator[Callable[..., Serving]]:
    """Starts servers with the settings that a test wants; of the adder by default."""
    with contextlib.ExitStack() as stack:

        def start(**given) -> Serving:
            settings = {"model_base_path": adders, "port": 0, "rest_api_port": 0}
            server = EmbeddedServer(ServerConfig(**settings | given))
            stack.callback(server.stop)
            grpc_port, rest_port = server.start()
            target = f"127.0.0.1:{grpc_port}"
            channel = stack.enter_context(grpc.insecure_channel(target))
            rest = httpx.Client(base_url=f"http://127.0.0.1:{rest_port}", timeout=60)
            return Serving(
                server,
                channel,
                prediction_service_pb2_grpc.PredictionServiceStub(channel),
                model_service_pb2_grpc.ModelServiceStub(channel),
                stack.enter_context(rest),
                target,
            )

        yield start


class Spinner(tf.Module):
    """Takes as long as it is asked to: counts to the first of its numbers."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def spin(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        counted = tf.while_loop(lambda n: n < x[0], lambda n: (n + 1,), (0.0,))
        return {"y": x - x + counted[0]}


@pytest.fixture(scope="session")
def spinner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("spinner")
    model = Spinner()
    tf.saved_model.save(model, str(base / "1"), {"serving_default": model.spin})
    return base
