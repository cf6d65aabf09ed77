"""The counts a display needs, fed by events.

Invariants: written on the event loop's thread only; read from any thread, so each field is a plain
number, or a small collection that is replaced and never grows in place. The clock is monotonic and
injected.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from mirror.events import (
    Event,
    FrameFailed,
    GroupCommitted,
    HostPaused,
    HostResumed,
    Idle,
    LimitChanged,
    Preparing,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    RunFinished,
    RunStarted,
    Stopping,
    Verifying,
)
from mirror.observe.metrics import HOPS

WINDOW = 30.0
"""Seconds over which rates are taken."""

_SAMPLE_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Pause:
    """A host that does not answer. `until`: when it is tried next, on the tally's clock."""

    hop: str
    reason: str
    detail: str
    until: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames and bytes a second over the window; `left`: seconds to the end, None if unknown."""

    frames: float
    bytes: float
    left: float | None


class _Sample(NamedTuple):
    at: float
    frames: int
    bytes: int


class Tally:
    """A listener that keeps the counts of the current run. Frames unless a name says otherwise."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            RequestStarted: self._request_started,
            RequestFinished: self._request_finished,
            GroupCommitted: self._group_committed,
            RetryScheduled: self._retry_scheduled,
            FrameFailed: self._frame_failed,
            LimitChanged: self._limit_changed,
            HostPaused: self._host_paused,
            HostResumed: self._host_resumed,
            Stopping: self._stopping,
            Preparing: self._preparing,
            Verifying: self._verifying,
            RunStarted: self._run_started,
            RunFinished: self._run_finished,
            Idle: self._idle,
        }
        self.limits: dict[str, int] = {}
        self.in_flight: dict[str, int] = dict.fromkeys(HOPS, 0)
        self._begin(0, 0)
        self.preparing = ""
        self.verifying: Verifying | None = None
        self.running = False

    def _begin(self, total: int, already: int) -> None:
        self.total = total
        self.already_mirrored = already
        self.mirrored = self.adopted = self.failed = self.bytes = self.retries = 0
        self.requests: dict[str, int] = dict.fromkeys(HOPS, 0)
        self.paused: dict[str, Pause] = {}
        self.stopping: Stopping | None = None
        self.finished: RunFinished | None = None
        self.started_at = self.clock()
        self._ended_at: float | None = None
        self._samples: tuple[_Sample, ...] = (_Sample(self.started_at, 0, 0),)

    def __call__(self, event: Event) -> None:
        """Count `event`."""
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(event)

    @property
    def at_destination(self) -> int:
        """At the destination and recorded, by this run or before."""
        return self.already_mirrored + self.mirrored + self.adopted

    @property
    def settled(self) -> int:
        """At the destination or failed for good."""
        return self.at_destination + self.failed

    @property
    def pending(self) -> int:
        """Asked for and not settled."""
        return max(0, self.total - self.settled)

    @property
    def elapsed(self) -> float:
        """Seconds since the run started, until it ended."""
        return (self.clock() if self._ended_at is None else self._ended_at) - self.started_at

    def rates(self) -> Rates:
        """What the last `WINDOW` seconds, or the run so far, let expect."""
        now = self.clock()
        base = _base(self._samples, now - WINDOW)
        span = now - base.at
        if span <= 0:
            return Rates(0.0, 0.0, None)
        frames = (self._done - base.frames) / span
        left = self.pending / frames if frames > 0 else None
        return Rates(frames, (self.bytes - base.bytes) / span, left)

    @property
    def _done(self) -> int:
        return self.mirrored + self.adopted + self.failed

    def _sample(self) -> None:
        now = self.clock()
        samples = self._samples
        if now - samples[-1].at < _SAMPLE_EVERY:
            return
        base = samples.index(_base(samples, now - WINDOW))
        self._samples = (*samples[base:], _Sample(now, self._done, self.bytes))

    # --- listening -----------------------------------------------------------------------------

    def _preparing(self, event: Preparing) -> None:
        if not self.preparing:
            self._begin(0, 0)
        self.preparing = event.what

    def _verifying(self, event: Verifying) -> None:
        if self.verifying is None:
            self._begin(0, 0)
        self.preparing = "verifying"
        self.verifying = event

    def _run_started(self, event: RunStarted) -> None:
        self._begin(event.total, event.already_mirrored)
        self.preparing = ""
        self.verifying = None
        self.running = True

    def _request_started(self, event: RequestStarted) -> None:
        self.in_flight[event.hop] += 1

    def _request_finished(self, event: RequestFinished) -> None:
        self.in_flight[event.hop] -= 1
        self.requests[event.hop] += 1

    def _group_committed(self, event: GroupCommitted) -> None:
        self.mirrored += event.mirrored
        self.adopted += event.adopted
        self.bytes += event.size
        self._sample()

    def _retry_scheduled(self, _: RetryScheduled) -> None:
        self.retries += 1

    def _frame_failed(self, _: FrameFailed) -> None:
        self.failed += 1
        self._sample()

    def _limit_changed(self, event: LimitChanged) -> None:
        self.limits = {**self.limits, event.hop: event.limit}

    def _host_paused(self, event: HostPaused) -> None:
        pause = Pause(event.hop, event.reason, event.detail, self.clock() + event.delay)
        self.paused = {**self.paused, event.hop: pause}

    def _host_resumed(self, event: HostResumed) -> None:
        self.paused = {hop: pause for hop, pause in self.paused.items() if hop != event.hop}

    def _stopping(self, event: Stopping) -> None:
        self.stopping = event

    def _run_finished(self, event: RunFinished) -> None:
        self.finished = event
        self._ended_at = self.clock()
        self.preparing = ""
        self.running = False
        self.paused = {}

    def _idle(self, _: Idle) -> None:
        self.preparing = ""
        self.verifying = None
        self.running = False
        self.paused = {}
        self.in_flight = dict.fromkeys(HOPS, 0)


def _base(samples: tuple[_Sample, ...], horizon: float) -> _Sample:
    """The newest sample at or before `horizon`, or the oldest there is."""
    base = samples[0]
    for sample in samples[1:]:
        if sample.at > horizon:
            break
        base = sample
    return base
