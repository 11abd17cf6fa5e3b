"""What a service counts for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_IMAGES = (1, 2, 4, 8, 16, 32)


class ServiceMetrics:
    """Counters of one service; each has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter("sem_requests", "Requests for answers", ["status"], registry=self._registry)
        self.seconds = Histogram(
            "sem_request_seconds", "Time to an answer with status 200", buckets=_SECONDS, registry=self._registry
        )
        self.images = Counter("sem_images", "Images that were answered", ["decision"], registry=self._registry)
        self.batches = Histogram("sem_batch_images", "Images judged together", buckets=_IMAGES, registry=self._registry)
        self.waiting = Gauge("sem_waiting_images", "Images that wait for the classifier", registry=self._registry)
        self.ready = Gauge("sem_ready", "1 if requests are taken", registry=self._registry)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self._registry)
