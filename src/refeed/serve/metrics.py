"""What /metrics says, in Prometheus' words. Nothing in it names a person."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Of one server; each has a registry of its own, so that several live in one process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Histogram(
            "refeed_request_seconds",
            "From the first byte to the last.",
            ("route", "method", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._queue = Histogram(
            "refeed_queue_seconds",
            "What the first of a batch has waited.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._pass = Histogram(
            "refeed_pass_seconds",
            "A batch's forward pass, with its lists.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._size = Histogram(
            "refeed_batch_size", "Questions in a batch.", ("model",), buckets=_SIZES, registry=registry
        )
        self._unknown = Counter(
            "refeed_unknown_items", "Items in requests that the model doesn't know.", registry=registry
        )
        self._cold = Counter(
            "refeed_cold_people", "Requests about people without ratings.", registry=registry
        )
        self._events = Counter(
            "refeed_events", "What was shown, clicked and dismissed.", ("kind", "model"), registry=registry
        )
        self._info = Gauge(
            "refeed_model_info", "1 for each model that is served.", ("model", "digest"), registry=registry
        )
        self._age = Gauge(
            "refeed_model_loaded_seconds", "When the model was loaded (Unix).", ("model",), registry=registry
        )
        self._waiting = Gauge("refeed_queue_length", "Questions that wait.", registry=registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is the pattern, not the path, in which ids would be."""
        self._requests.labels(route, method, str(status)).observe(seconds)

    def batch(self, model: str, queue: float, seconds: float, size: int) -> None:
        """A batch was answered."""
        self._queue.labels(model).observe(queue)
        self._pass.labels(model).observe(seconds)
        self._size.labels(model).observe(size)

    def people(self, *, unknown: int, cold: bool) -> None:
        """Somebody was folded in."""
        if unknown:
            self._unknown.inc(unknown)
        if cold:
            self._cold.inc()

    def event(self, kind: str, model: str, count: int) -> None:
        """Something was shown, clicked or dismissed."""
        self._events.labels(kind, model).inc(count)

    def models(self, digests: dict[str, str]) -> None:
        """These models are served from now on."""
        self._info.clear()
        for name, digest in digests.items():
            self._info.labels(name, digest).set(1)
            self._age.labels(name).set(time.time())

    def text(self, waiting: int) -> bytes:
        """All of it, as Prometheus reads it."""
        self._waiting.set(waiting)
        return generate_latest(self._registry)
