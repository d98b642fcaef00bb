"""What a server counts, in the text format of Prometheus."""

from __future__ import annotations

from typing import Any

from cnnrs.base.extras import library

__all__ = ["Measures"]

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class Measures:
    """Counters and histograms of a server, by the library prometheus_client.

    Args:
        waiting: Tells how many images wait.
    """

    def __init__(self, waiting: Any):
        prometheus = library("prometheus_client", "serve", "cnnrs serve")
        self._prometheus = prometheus
        self.registry = prometheus.CollectorRegistry()
        shared = {"registry": self.registry}
        self.requests = prometheus.Counter(
            "cnnrs_requests", "Requests by path and status.", ["path", "status"], **shared
        )
        self.seconds = prometheus.Histogram(
            "cnnrs_request_seconds", "Seconds from a request to its answer.", buckets=_SECONDS, **shared
        )
        self.images = prometheus.Counter("cnnrs_images", "Images that were computed.", **shared)
        self.batches = prometheus.Histogram(
            "cnnrs_batch_images", "Images of a batch.", buckets=_IMAGES, **shared
        )
        self.batch_seconds = prometheus.Histogram(
            "cnnrs_batch_seconds", "Seconds that a batch is computed for.", buckets=_SECONDS, **shared
        )
        queue = prometheus.Gauge("cnnrs_queue_images", "Images that wait.", **shared)
        queue.set_function(waiting)

    def batch(self, images: int, seconds: float) -> None:
        """Counts a batch."""
        self.images.inc(images)
        self.batches.observe(images)
        self.batch_seconds.observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """All of it, and the type of its content."""
        return self._prometheus.generate_latest(self.registry), self._prometheus.CONTENT_TYPE_LATEST
