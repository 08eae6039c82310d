"""All metrics of a server, and the page that Prometheus reads."""

from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry

from serving.server.call_record import CallRecord
from serving.server.metrics.own import Loaded, OwnMetrics
from serving.server.metrics.tf_serving import COUNTERS, TfServingMetrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts for one server: another in the same process has its own."""

    def __init__(self, loaded: Loaded, thread_pool_name: str) -> None:
        # TF Serving has no `_created` series, which would double every counter.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._own = OwnMetrics(self._registry, loaded)
        self._tf_serving = TfServingMetrics(self._registry, thread_pool_name)
        self.batch = self._tf_serving.batch
        self.warmed_up = self._tf_serving.warmed_up

    def call(self, record: CallRecord) -> None:
        """Counts a call that has ended."""
        self._tf_serving.call(record)
        self._own.call(record)

    def page(self) -> bytes:
        """Returns the metrics as Prometheus reads them."""
        page = prometheus_client.generate_latest(self._registry)
        for name in COUNTERS:
            page = page.replace(f"{name}_total".encode(), name.encode())
        return page
