"""The metrics of one process, fed by events. What each means: `docs/metrics.md`.

Invariants: a registry of its own, no globals; labels come from bounded sets, so never an id, a URL
or a message. Listening is on the hot path (about six events a frame): children are bound before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mirror.events import (
    Event,
    FrameFailed,
    GroupCommitted,
    Hop,
    LimitChanged,
    LoggedIn,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    RunFinished,
    RunStarted,
)

HOPS: tuple[Hop, ...] = get_args(Hop)
OUTCOMES = ("complete", "partial", "interrupted", "failed")

_STATUSES = frozenset(str(code) for code in range(100, 600))
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_COMMIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_COMMIT_FRAMES = (1, 4, 16, 64, 128, 256, 512, 1024, 2048)


class _PerKey(dict[Any, Any]):
    """Children by label values, bound when first met."""

    def __init__(self, bind: Callable[[Any], Any]) -> None:
        super().__init__()
        self._bind = bind

    def __missing__(self, key: Any) -> Any:
        child = self[key] = self._bind(key)
        return child


class Metrics:
    """A listener that counts. `version` is the program's own."""

    def __init__(self, version: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        self._build_run()
        self._build_wire()
        self._build_disk()
        self._gauge("mirror_build_info", "The version that runs; always 1.", "version").labels(
            version
        ).set(1)
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            RequestStarted: self._request_started,
            RequestFinished: self._request_finished,
            GroupCommitted: self._group_committed,
            RetryScheduled: self._retry_scheduled,
            FrameFailed: self._frame_failed,
            LimitChanged: self._limit_changed,
            LoggedIn: self._logged_in,
            RunStarted: self._run_started,
            RunFinished: self._run_finished,
        }

    def __call__(self, event: Event) -> None:
        """Count `event`; those that move no metric are ignored."""
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(event)

    def count_export(self, outcome: str) -> None:
        """One export of the inbox was synced; `outcome` is its run's."""
        self._exports[outcome].inc()

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics as text and its content type: OpenMetrics where `accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(_WithoutCreated(self.registry)), content_type

    # --- building ------------------------------------------------------------------------------

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Any, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=buckets)

    def _build_run(self) -> None:
        frames = self._counter("mirror_frames_total", "Frames by what became of them.", "outcome")
        self._mirrored = frames.labels("mirrored")
        self._adopted = frames.labels("adopted")
        self._failed = frames.labels("failed")
        self._already = frames.labels("already_mirrored")
        self._bytes = self._counter("mirror_bytes_total", "Bytes fetched and made durable.")
        states = self._gauge(
            "mirror_ledger_frames",
            "Frames the current or last run asked for, by their state in the ledger.",
            "state",
        )
        self._ledger_mirrored = states.labels("mirrored")
        self._ledger_failed = states.labels("failed")
        self._ledger_pending = states.labels("pending")
        exports = self._counter(
            "mirror_exports_total", "Exports synced from the inbox, by outcome.", "outcome"
        )
        self._exports = {outcome: exports.labels(outcome) for outcome in OUTCOMES}
        self._last_complete = self._gauge(
            "mirror_last_complete_timestamp_seconds",
            "When a run last ended complete, as Unix time; 0 before the first.",
        )

    def _build_wire(self) -> None:
        requests = self._counter(
            "mirror_requests_total", "HTTP requests that ended, by hop and status.", "hop", "status"
        )
        self._requests = _PerKey(lambda key: requests.labels(*key))
        seconds = self._histogram(
            "mirror_request_seconds", "How long HTTP requests took.", _REQUEST_SECONDS, "hop"
        )
        self._seconds = {hop: seconds.labels(hop) for hop in HOPS}
        inflight = self._gauge("mirror_inflight", "HTTP requests in flight.", "hop")
        self._inflight = {hop: inflight.labels(hop) for hop in HOPS}
        limit = self._gauge(
            "mirror_concurrency_limit", "How many requests may be in flight now.", "hop"
        )
        self._limit = _PerKey(limit.labels)
        retries = self._counter(
            "mirror_retries_total", "Retries scheduled, by hop and reason.", "hop", "reason"
        )
        self._retries = _PerKey(lambda key: retries.labels(*key))
        self._logins = self._counter("mirror_logins_total", "Access tokens handed out by the API.")

    def _build_disk(self) -> None:
        self._commit_seconds = self._histogram(
            "mirror_commit_seconds", "How long a commit group took.", _COMMIT_SECONDS
        )
        self._commit_frames = self._histogram(
            "mirror_commit_frames", "How many frames a commit group held.", _COMMIT_FRAMES
        )

    # --- listening -----------------------------------------------------------------------------

    def _request_started(self, event: RequestStarted) -> None:
        self._inflight[event.hop].inc()

    def _request_finished(self, event: RequestFinished) -> None:
        hop = event.hop
        self._inflight[hop].dec()
        self._requests[hop, _bounded(event.status)].inc()
        self._seconds[hop].observe(event.seconds)

    def _group_committed(self, event: GroupCommitted) -> None:
        frames = event.mirrored + event.adopted
        self._mirrored.inc(event.mirrored)
        self._adopted.inc(event.adopted)
        self._bytes.inc(event.size)
        self._commit_seconds.observe(event.seconds)
        self._commit_frames.observe(frames)
        self._ledger_mirrored.inc(frames)
        self._ledger_pending.dec(frames)

    def _retry_scheduled(self, event: RetryScheduled) -> None:
        self._retries[event.hop, event.reason].inc()

    def _frame_failed(self, _: FrameFailed) -> None:
        self._failed.inc()
        self._ledger_failed.inc()
        self._ledger_pending.dec()

    def _limit_changed(self, event: LimitChanged) -> None:
        self._limit[event.hop].set(event.limit)

    def _logged_in(self, _: LoggedIn) -> None:
        self._logins.inc()

    def _run_started(self, event: RunStarted) -> None:
        self._already.inc(event.already_mirrored)
        self._ledger_mirrored.set(event.already_mirrored)
        self._ledger_failed.set(0)
        self._ledger_pending.set(event.total - event.already_mirrored)

    def _run_finished(self, event: RunFinished) -> None:
        if event.outcome == "complete":
            self._last_complete.set(self._clock())


class _WithoutCreated(Collector):
    """The registry without the `_created` series, which double the output and say little."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Any]:
        for metric in self._registry.collect():
            metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield metric


def _bounded(status: str) -> str:
    return status if status in _STATUSES else "error"
