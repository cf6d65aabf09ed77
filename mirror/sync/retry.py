"""Whether and when a frame is tried again: decided here, acted on in the pipeline.

The one place that knows `backoff`. Nothing here sleeps or reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import backoff

from mirror.errors import FrameError
from mirror.settings import Settings
from mirror.store import PendingFrame


@dataclass(slots=True)
class Work:
    """A frame on its way through the pipeline, with what its attempts came to in this run.

    `attempts` counts those charged to the frame; `borrowed` the tokens its retries took. `hop` is
    where it was last. `since`: when it first went out (seconds, monotonic). `retry`: going out
    again takes a token. `probe`: it goes out although a host is paused.
    """

    frame: PendingFrame
    attempts: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    borrowed: int = 0
    hop: Literal["resolve", "download", "write"] = "resolve"
    since: float = 0.0
    retry: bool = False
    probe: bool = False

    def charge(self, error: FrameError) -> None:
        """Count an attempt that failed with `error`."""
        self.attempts += 1
        self.reasons[error.reason] = self.reasons.get(error.reason, 0) + 1


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Try again after `delay` seconds."""

    delay: float


class RetryPolicy:
    """Exponential waits with jitter; a host's own wish (`Retry-After`) is obeyed up to a cap."""

    def __init__(self, settings: Settings) -> None:
        self._max_attempts = settings.max_attempts
        self._retry_after_cap = settings.retry_after_cap
        waits = backoff.expo(factor=settings.backoff_base, max_value=settings.backoff_cap)
        # the generator's first value only primes it
        self._waits = tuple(islice(waits, 1, settings.max_attempts + 2))

    def decide(self, error: FrameError, work: Work) -> RetryDecision | None:
        """What becomes of `work`, whose last attempt failed with `error`; None: it failed."""
        if not error.retryable or work.attempts >= self._max_attempts:
            return None
        if error.tries is not None and work.reasons.get(error.reason, 0) >= error.tries:
            return None
        return self.wait(error, work.attempts)

    def wait(self, error: FrameError, attempts: int) -> RetryDecision:
        """The wait after so many charged attempts: between half of the backoff and all of it."""
        half = self._waits[min(max(attempts, 1), len(self._waits)) - 1] / 2
        delay = half + backoff.full_jitter(half)
        if error.retry_after is not None:
            asked = min(error.retry_after, self._retry_after_cap)
            delay = max(delay, asked + backoff.full_jitter(min(asked / 10, 1.0)))
        return RetryDecision(delay)


class RetryBudget:
    """A token bucket that bounds the load retries add, as botocore's standard mode has it.

    A retry takes a token; a frame that arrives gives back what its retries took and a bit more, so
    only what fails drains the bucket. A slow trickle keeps an empty bucket from stopping a run; one
    that stays empty while nothing arrives shows that going on is of no use.
    """

    SUCCESS = 0.5
    TRICKLE = 1.0
    """Tokens a second."""

    def __init__(self, capacity: float, patience: float, now: float) -> None:
        self._refused = False
        self._patience = patience
        self._capacity = self._tokens = capacity
        self._now = self._arrived_at = now

    def __repr__(self) -> str:
        return f"<RetryBudget {self._tokens:.0f} of {self._capacity:.0f}>"

    def take(self, now: float) -> bool:
        """Whether a retry may go out at `now` (seconds, monotonic)."""
        self._put((now - self._now) * self.TRICKLE)
        self._now = now
        if self._tokens < 1:
            self._refused = True
            return False
        self._tokens -= 1
        return True

    def succeed(self, borrowed: int, now: float) -> None:
        """A frame arrived that had taken `borrowed` tokens."""
        self._put(borrowed + self.SUCCESS)
        self._arrived_at = now
        self._refused = False

    def spent(self, now: float) -> bool:
        """Whether a retry was refused and nothing arrived for as long as the patience."""
        return self._refused and now - self._arrived_at >= self._patience

    def _put(self, tokens: float) -> None:
        self._tokens = min(self._capacity, self._tokens + tokens)
