"""Metrics that TF Serving lacks: by version, and what the model says, to see drift."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.server.call_record import CallRecord
from serving.server.metrics.tf_serving import UNKNOWN
from serving.server.metrics.verdicts import read_verdicts

PREFIX: Final = "mri_serving_"

Loaded = Callable[[], Iterable[tuple[str, int]]]
"""Name and version of everything that can answer."""

_SECONDS: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_CONFIDENCES: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0)


class OwnMetrics:
    """Counts calls and verdicts of each version."""

    def __init__(self, registry: CollectorRegistry, loaded: Loaded) -> None:
        version = ("model", "version")
        self._calls = Counter(
            f"{PREFIX}calls",
            "Calls that ended, by gRPC code.",
            (*version, "method", "entrypoint", "code"),
            registry=registry,
        )
        self._seconds = Histogram(
            f"{PREFIX}call_seconds",
            "Seconds of a call, whatever its end.",
            (*version, "method"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._verdicts = Counter(
            f"{PREFIX}verdicts",
            "Verdicts on the slices of a call, taken as one scan.",
            (*version, "verdict"),
            registry=registry,
        )
        self._confidence = Histogram(
            f"{PREFIX}confidence",
            "Probability of the likeliest class of a call's slices.",
            (*version, "verdict"),
            buckets=_CONFIDENCES,
            registry=registry,
        )
        self._slices = Counter(
            f"{PREFIX}slices",
            "Slices, by the class that wins.",
            (*version, "contrast"),
            registry=registry,
        )
        registry.register(_LoadedCollector(loaded))

    def call(self, record: CallRecord) -> None:
        """Counts a call that has ended."""
        version = "" if record.version is None else str(record.version)
        labels = (record.model or UNKNOWN, version)
        self._calls.labels(
            *labels, record.method, record.entrypoint, record.code.name
        ).inc()
        self._seconds.labels(*labels, record.method).observe(record.seconds)
        for outputs in record.outputs:
            found = read_verdicts(outputs)
            if found is None:
                continue
            self._verdicts.labels(*labels, found.scan.contrast).inc()
            self._confidence.labels(*labels, found.scan.contrast).observe(
                found.scan.probability
            )
            for contrast, count in found.slices.items():
                self._slices.labels(*labels, contrast).inc(count)


class _LoadedCollector(Collector):
    """Asks at every reading what is loaded: nothing to keep in step."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            f"{PREFIX}models_loaded",
            "1 for each version that can answer.",
            labels=("model", "version"),
        )
        for model, version in self._loaded():
            family.add_metric((model, str(version)), 1)
        yield family
