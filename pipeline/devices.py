"""Which devices train together, at which precision, compiled how.

    devices = open_devices()
    with devices.strategy.scope():
        model = build(hyper, seed=0, precision=devices.precision)

One GPU or the CPU trains alone; several GPUs of a machine share each batch
(MirroredStrategy), and so do several machines that `TF_CONFIG` names
(MultiWorkerMirroredStrategy).
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import tensorflow as tf

from pipeline.dataset import PREFETCH
from pipeline.share import Share

Kind = Literal["auto", "cpu", "gpu"]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
Switch = Literal["auto", "on", "off"]

_BFLOAT16_SINCE: Final = (8, 0)
_FLOAT16_SINCE: Final = (7, 0)
"""Compute capabilities whose tensor cores take the type: Ampere, Volta."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Devices:
    """The devices of this process and those that it trains together with.

    Attributes:
        strategy: Under whose scope the network is built.
        local: Devices of this process, one a replica.
        precision: Keras' dtype policy.
        xla: Whether the step is compiled by XLA.
        worker: Number of this process among `workers`.
        workers: Processes that train together.
    """

    strategy: tf.distribute.Strategy
    local: tuple[str, ...]
    precision: Precision
    xla: bool
    worker: int = 0
    workers: int = 1

    @property
    def replicas(self) -> int:
        """Devices that train together, on all hosts."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def chief(self) -> bool:
        """Whether this process writes the run."""
        return self.worker == 0

    def shares(self) -> list[Share]:
        """What each device of this process reads."""
        first = self.worker * len(self.local)
        return [Share(first + i, self.replicas) for i in range(len(self.local))]

    def iterate(
        self, datasets: Sequence[tf.data.Dataset]
    ) -> list[Iterator[Mapping[str, tf.Tensor]]]:
        """Starts reading, one data set a device of this process.

        While a step runs, the next batches are read, parsed and copied to its device.
        """
        return [
            iter(_on_device(data, device))
            for data, device in zip(datasets, self.local, strict=True)
        ]

    def agree(self, text: str) -> bool:
        """Tells whether all hosts say the same.

        Args:
            text: What this one says.
        """
        digest = hashlib.sha256(text.encode()).digest()
        mine = tf.cast(tf.io.decode_raw(digest, tf.uint16), tf.float32)
        # Sums of 16-bit numbers are exact in float32, so equal ones are their mean.
        mean = self.strategy.reduce(
            tf.distribute.ReduceOp.MEAN, self.together([mine] * len(self.local)), None
        )
        return bool(tf.reduce_all(mean == mine))

    def together(self, values: Sequence[Any]) -> Any:
        """One value for `strategy.run` from those of this process's devices."""
        if self.replicas == 1:
            return values[0]
        first = self.worker * len(self.local)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: values[context.replica_id_in_sync_group - first]
        )


def open_devices(
    kind: Kind = "auto",
    *,
    precision: Precision | Literal["auto"] = "auto",
    xla: Switch = "auto",
) -> Devices:
    """Finds the devices and joins the other workers; call it before anything else.

    Args:
        kind: `auto` takes GPUs where there are any.
        precision: Of the activations; weights stay float32. `auto` is bfloat16 on
            GPUs since Ampere, float16 with loss scaling since Volta, else float32.
        xla: Compile the step by XLA. `auto` does so on GPUs only: on CPUs it makes
            this step 1.5 to 2 times slower.

    Raises:
        ValueError: A GPU is asked for and there is none, XLA is asked for and cannot
            be had, or `TF_CONFIG` makes no sense.
    """
    if kind == "cpu":
        tf.config.set_visible_devices([], "GPU")
    cluster = _cluster()
    gpus = tf.config.get_visible_devices("GPU")
    if kind == "gpu" and not gpus:
        raise ValueError(
            "TensorFlow finds no GPU; check the driver and that requirements-gpu.lock "
            "is installed, or pass --device cpu"
        )
    for gpu in gpus:
        # Otherwise this process takes the whole card, and others beside it starve.
        tf.config.experimental.set_memory_growth(gpu, True)
    found = "GPU" if gpus else "CPU"
    strategy = _strategy(cluster, found)
    worker, workers = cluster or (0, 1)
    count = max(1, strategy.num_replicas_in_sync // workers)
    if xla == "on" and found == "CPU" and count > 1:
        raise ValueError(
            f"XLA compiles for one CPU device a process, and this one has {count}; "
            "pass --xla off"
        )
    devices = Devices(
        strategy=strategy,
        local=tuple(f"/device:{found}:{index}" for index in range(count)),
        precision=_best_of(gpus) if precision == "auto" else precision,
        xla=xla == "on" or (xla == "auto" and bool(gpus)),
        worker=worker,
        workers=workers,
    )
    hosts = f" on {workers} hosts, this is {worker}" if workers > 1 else ""
    compiled = ", XLA" if devices.xla else ""
    _log.info(
        "%d %s%s, %s%s", devices.replicas, found, hosts, devices.precision, compiled
    )
    return devices


@contextlib.contextmanager
def explained_loss_of_hosts(devices: Devices) -> Iterator[None]:
    """Turns TensorFlow's report that another host is gone into what to do.

    Raises:
        ConnectionAbortedError: Another host ended, or cannot be reached any more.
    """
    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.InternalError,
    ) as error:
        if devices.workers == 1:
            raise
        raise ConnectionAbortedError(
            f"another of the {devices.workers} hosts is gone, its own log says why; "
            "start the same command on all of them: they go on from the last checkpoint"
        ) from error


def _strategy(cluster: tuple[int, int] | None, kind: str) -> tf.distribute.Strategy:
    if cluster is not None:
        # It tells of every collective operation, twice.
        tf.get_logger().setLevel(logging.WARNING)
        return tf.distribute.MultiWorkerMirroredStrategy()
    # A test cuts one CPU into several logical devices; they are found here.
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(names) > 1:
        return tf.distribute.MirroredStrategy(names)
    return tf.distribute.get_strategy()


def _cluster() -> tuple[int, int] | None:
    """(number of this worker, number of workers) by `TF_CONFIG`; None where alone."""
    text = os.environ.get("TF_CONFIG", "{}")
    if not text.strip():
        del os.environ["TF_CONFIG"]  # TensorFlow's own reader fails on an empty one.
        return None
    try:
        content = json.loads(text)
        cluster, task = content.get("cluster", {}), content.get("task", {})
        workers, index = cluster.get("worker", []), int(task.get("index", 0))
        kind = task.get("type", "worker")
    except (ValueError, AttributeError, TypeError) as error:
        raise _nonsense(text, str(error)) from None
    if not cluster:
        return None
    if cluster.keys() != {"worker"} or kind != "worker":
        raise _nonsense(text, "there must be workers and nothing else")
    if not 0 <= index < len(workers):
        raise _nonsense(text, f"no worker {index} of {len(workers)}")
    if len(workers) == 1:
        return None
    others = ", ".join(workers[:index] + workers[index + 1 :])
    _log.info("worker %d of %d, waiting for %s", index, len(workers), others)
    return index, len(workers)


def _nonsense(text: str, reason: str) -> ValueError:
    return ValueError(
        f"TF_CONFIG is {text!r} ({reason}); it must be like "
        '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": '
        "0}}, the same on all workers but for the index; or unset it to train alone"
    )


def best_precision(capabilities: Sequence[tuple[int, int]]) -> Precision:
    """The fastest type that all GPUs compute in hardware.

    Args:
        capabilities: Compute capability of each GPU; empty on CPUs.
    """
    oldest = min(capabilities, default=(0, 0))
    if oldest >= _BFLOAT16_SINCE:
        return "mixed_bfloat16"
    return "mixed_float16" if oldest >= _FLOAT16_SINCE else "float32"


def _best_of(gpus: Sequence[Any]) -> Precision:
    details = map(tf.config.experimental.get_device_details, gpus)
    return best_precision([each.get("compute_capability", (0, 0)) for each in details])


def _on_device(data: tf.data.Dataset, device: str) -> tf.data.Dataset:
    if device.upper().endswith("CPU:0"):
        return data  # It prefetches in the memory where the step looks for it.
    copied = data.apply(tf.data.experimental.copy_to_device(device))
    return copied.prefetch(PREFETCH)
