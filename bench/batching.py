"""Whether merging calls costs or pays: the embedded server with and without batching.

`python -m bench --only batching` measures the rows; `python -m bench.batching` tries
sizes and timeouts on the released model, for `serving/container/batching-cpu.config`.
"""

import contextlib
import dataclasses
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import rich.console
import rich.table
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from bench.results import Row, at_least
from bench.timing import Contestant, Effort, Rates, Turn, side_by_side
from pipeline.command import run_command
from pipeline.released import RELEASED
from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer

CONFIG: Final = Path("serving/container/batching-cpu.config")

IN_FLIGHT: Final = 16
SLICES: Final = (24, 1)
"""In a call: what a scan gives at most, and the least."""

WIDTH: Final = 4096
"""Of the test model's layers: 64 MiB of weights each, read again for every row."""

NO_SLOWER: Final = 0.97
"""What is left of 1 in the weather of a machine that does other work, too."""

PAYS: Final = 1.5

OFF: Final = "off"

TRIED: Final = {
    OFF: None,
    "as they come": "max_batch_size { value: 64 }",
    "wait 2 ms": "max_batch_size { value: 64 } batch_timeout_micros { value: 2000 }",
    "one thread": "max_batch_size { value: 64 } num_batch_threads { value: 1 }",
    "fixed sizes": "max_batch_size { value: 64 } "
    "allowed_batch_sizes: [1, 8, 16, 24, 32, 64]",
}
"""Parameters by what they are called."""


@dataclasses.dataclass(frozen=True, slots=True)
class TryConfig:
    """Tries batching parameters on a model.

    Attributes:
        model: Folder of its versions.
        seconds: Time counted for each setting in each round.
        repeats: Rounds; the median counts.
    """

    model: Path = RELEASED
    seconds: float = 4
    repeats: int = 5


class Wide(tf.Module):  # type: ignore[misc]
    """Dense layers that a row alone cannot keep busy: their weights outlast a cache."""

    def __init__(self) -> None:
        super().__init__()
        random = tf.random.Generator.from_seed(0)
        shape = (WIDTH, WIDTH)
        scale = WIDTH**-0.5
        self.layers = [tf.Variable(random.normal(shape, 0, scale)) for _ in range(2)]

    @tf.function(input_signature=[tf.TensorSpec((None, WIDTH), tf.float32, name="x")])
    def run(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes `(n, WIDTH)` and gives the mean of what the layers make of each row."""
        for layer in self.layers:
            x = tf.nn.relu(tf.matmul(x, layer))
        return {"y": tf.reduce_mean(x, axis=1)}


def measure(effort: Effort) -> list[Row]:
    """Measures the released model, and one whose batches pay.

    Args:
        effort: How long, and how often.
    """
    settings = {OFF: None, "on": CONFIG.read_text()}
    ratios, parts = [], []
    for count in SLICES:
        rates = compare(RELEASED, slices_of(count), settings, effort)
        ratios.append(rates.ratio("on", OFF))
        parts.append(
            f"{count} a call: {rates['on']:.1f} slices/s with, {rates[OFF]:.1f} without"
        )
    said = f"{IN_FLIGHT} in flight, server and callers in one process; {effort}"
    goals = [NO_SLOWER] * len(SLICES)
    rows = [at_least("batching.costs", ratios, goals, f"{'; '.join(parts)}; {said}")]
    with tempfile.TemporaryDirectory() as folder:
        model = Wide()
        signatures = {"serving_default": model.run}
        tf.saved_model.save(model, str(Path(folder) / "1"), signatures)
        row = np.random.default_rng(0).random((1, WIDTH), np.float32)
        settings["on"] = "max_batch_size { value: 16 }"
        rates = compare(Path(folder), {"x": row}, settings, effort)
    detail = (
        f"two dense layers of {WIDTH}, one row a call: {rates['on']:.0f} rows/s with, "
        f"{rates[OFF]:.0f} without; {said}"
    )
    return [*rows, at_least("batching.pays", [rates.ratio("on", OFF)], [PAYS], detail)]


def slices_of(count: int) -> dict[str, np.ndarray[Any, Any]]:
    """Makes the input of a call of so many slices."""
    random = np.random.default_rng(0)
    return {"slices": random.integers(0, 256, (count, 150, 150), np.uint8)}


def compare(
    model: Path,
    inputs: Mapping[str, np.ndarray[Any, Any]],
    settings: Mapping[str, str | None],
    effort: Effort,
) -> Rates:
    """Measures servers that differ in their batching alone.

    Args:
        model: Folder of its versions.
        inputs: Of every call.
        settings: Batching parameters as text by name; None is without batching.
        effort: How long, and how often.

    Returns:
        Rates of rows per second.
    """
    with contextlib.ExitStack() as stack:
        contestants = {
            name: stack.enter_context(_server(model, inputs, text))
            for name, text in settings.items()
        }
        return side_by_side(contestants, effort)


@contextlib.contextmanager
def _server(
    model: Path, inputs: Mapping[str, np.ndarray[Any, Any]], text: str | None
) -> Iterator[Contestant]:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "default"
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(array))
    rows = len(next(iter(inputs.values())))
    # A line a call would bury the table.
    logging.getLogger("serving.server.call_log").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "batching.config"
        file.write_text(text or "")
        server = EmbeddedServer(
            ServerConfig(
                model_base_path=model,
                port=0,
                rest_api_port=None,
                enable_batching=text is not None,
                batching_parameters_file=None if text is None else file,
                # Batches are made of calls that have a thread.
                grpc_max_threads=IN_FLIGHT,
                enable_model_warmup=False,
            )
        )
        with (
            server as (port, _rest),
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            yield lambda seconds: _turn(lambda: stub.Predict(request), rows, seconds)


def _turn(ask: Callable[[], Any], rows: int, seconds: float) -> Turn:
    """Keeps so many calls in flight; every call that was begun counts, to its end."""
    _ask_for(ask, seconds / 5)
    began = time.perf_counter()
    calls = _ask_for(ask, seconds)
    return Turn(rows * calls / (time.perf_counter() - began))


def _ask_for(ask: Callable[[], Any], seconds: float) -> int:
    end = time.perf_counter() + seconds

    def repeat() -> int:
        calls = 0
        while time.perf_counter() < end:
            ask()
            calls += 1
        return calls

    with futures.ThreadPoolExecutor(IN_FLIGHT) as pool:
        begun = [pool.submit(repeat) for _ in range(IN_FLIGHT)]
        return sum(each.result() for each in begun)


def _try(config: TryConfig) -> None:
    table = rich.table.Table("slices a call", "setting", "slices/s", "against off")
    effort = Effort(config.seconds, config.repeats)
    for count in SLICES:
        rates = compare(config.model, slices_of(count), TRIED, effort)
        for name in TRIED:
            ratio = rates.ratio(name, OFF)
            table.add_row(str(count), name, f"{rates[name]:.1f}", f"{ratio:.3f}")
    rich.console.Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(
        TryConfig, _try, prog="python -m bench.batching", arguments=arguments
    )


if __name__ == "__main__":
    sys.exit(main())
