"""TF Serving's metrics, with its names, labels and buckets; times in microseconds."""

from collections.abc import Sequence
from typing import Final

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

from serving.server.call_record import CallRecord

PREFIX: Final = ":tensorflow:serving:"

UNKNOWN: Final = "unknown"
"""Stands for models that are not served: their names are whatever a client sent."""

# With six digits, as TF Serving prints them: queries name these limits.
_LATENCIES: Final = tuple(float(f"{10 * 1.8**k:g}") for k in range(33))
_QUEUING: Final = tuple(100 * 1.2**k for k in range(52))
_COUNTS: Final = tuple(float(2**k) for k in range(15))

_METHODS: Final = ("Predict", "Classify", "Regress", "MultiInference")

COUNTERS: Final = (
    f"{PREFIX}request_count",
    f"{PREFIX}batching_session:wrapped_run_count",
)
"""Counters whose names do not end in `_total`, as the library would have it."""


class TfServingMetrics:
    """Counts what TF Serving counts."""

    def __init__(self, registry: CollectorRegistry, thread_pool_name: str) -> None:
        def histogram(
            name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
        ) -> Histogram:
            return Histogram(
                f"{PREFIX}{name}", text, labels, registry=registry, buckets=buckets
            )

        def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(f"{PREFIX}{name}", text, labels, registry=registry)

        self._requests = counter("request_count", "Requests.", ("model_name", "status"))
        self._latency = histogram(
            "request_latency",
            "Microseconds of requests that were answered.",
            ("model_name", "API", "entrypoint"),
            _LATENCIES,
        )
        self._runtime = histogram(
            "runtime_latency",
            "Microseconds in TensorFlow.",
            ("model_name", "API", "runtime"),
            _LATENCIES,
        )
        self._examples = histogram(
            "request_example_counts", "Examples of a request.", ("model",), _COUNTS
        )
        self._examples_total = counter(
            "request_example_count_total", "Examples.", ("model",)
        )
        self._warmup = histogram(
            "model_warmup_latency",
            "Microseconds of a version's warm-up.",
            ("model_path", "status"),
            _LATENCIES,
        )
        batching = "batching_session:"
        self._queuing = histogram(
            f"{batching}queuing_latency",
            "Microseconds that a call waited for its batch.",
            ("thread_pool_name",),
            _QUEUING,
        ).labels(thread_pool_name)
        self._padding = histogram(
            f"{batching}padding_size", "Rows of padding of a batch.", (), (0, *_COUNTS)
        )
        self._input = histogram(
            f"{batching}input_batch_size", "Rows of a call.", (), _COUNTS
        )
        self._processed = histogram(
            f"{batching}processed_batch_size",
            "Rows of a batch, with padding.",
            (),
            _COUNTS,
        )
        self._runs = counter(f"{batching}wrapped_run_count", "Batches computed.")

    def call(self, record: CallRecord) -> None:
        """Counts an inference call that has ended."""
        if record.method not in _METHODS:
            return
        model, rest = record.model or UNKNOWN, record.entrypoint == "REST"
        self._requests.labels(model, record.code.name).inc()
        if record.code is not grpc.StatusCode.OK:
            return
        # TF Serving's REST takes the name of the method from the address.
        api = record.method.lower() if rest else record.method
        self._latency.labels(model, api, record.entrypoint).observe(
            1e6 * record.seconds
        )
        self._runtime.labels(model, record.method, "TF1").observe(1e6 * record.runtime)
        self._examples.labels(model).observe(record.examples)
        self._examples_total.labels(model).inc(record.examples)

    def warmed_up(self, path: str, status: str, seconds: float) -> None:
        """Counts the warm-up of a version."""
        self._warmup.labels(path, status).observe(1e6 * seconds)

    def batch(
        self, sizes: Sequence[int], padding: int, waited: Sequence[float]
    ) -> None:
        """Counts a batch: rows of its calls, rows of padding, seconds they waited."""
        for size, seconds in zip(sizes, waited, strict=True):
            self._input.observe(size)
            self._queuing.observe(1e6 * seconds)
        self._padding.observe(padding)
        self._processed.observe(sum(sizes) + padding)
        self._runs.inc()
