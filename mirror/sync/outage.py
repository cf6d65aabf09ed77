"""Is a host down, or is it the frame? A circuit breaker for each host, without a clock.

Invariants: it opens when `THRESHOLD` different frames in a row got no useful answer; a host that
asks for less is there, so that takes `THROTTLED_THRESHOLD`, and the limit falls first; a login that
fails is enough by itself. While it is open, single probes go out at growing intervals, and failures
are not charged to frames. When no useful answer came for `patience` seconds the host counts as
unavailable and the run ends.
"""

from __future__ import annotations

import math

THRESHOLD = 5
THROTTLED_THRESHOLD = 24
"""More than a run has in flight at its start, so that finding the limit is no outage."""
FIRST_PROBE = 1.0
LAST_PROBE = 15.0


class Breaker:
    """The state of one host. All times are seconds on one monotonic clock."""

    def __init__(self, patience: float, longest_wait: float) -> None:
        self.answered_at = -math.inf
        self._patience = patience
        self._longest_wait = longest_wait
        self._excused_until = -math.inf
        self._failing: set[int] = set()
        self._failing_since = math.inf
        self._probe_at = math.inf
        self._interval = FIRST_PROBE

    def __repr__(self) -> str:
        return f"<Breaker {'open' if self.open else 'closed'}, {len(self._failing)} failing>"

    @property
    def open(self) -> bool:
        """Whether only probes may go out."""
        return self._probe_at < math.inf

    def answered(self, now: float) -> bool:
        """A useful answer came. True where this closed the breaker."""
        was_open = self.open
        self.answered_at = now
        if self._failing:
            self._failing.clear()
        self._failing_since = self._probe_at = math.inf
        self._excused_until = -math.inf
        self._interval = FIRST_PROBE
        return was_open

    def failed(
        self,
        frame: int,
        now: float,
        retry_after: float | None = None,
        *,
        throttled: bool = False,
        alone: bool = False,
    ) -> bool:
        """No useful answer for `frame`; `alone`: that says enough. True where this opened it."""
        self._failing_since = min(self._failing_since, now)
        self._excuse(now, retry_after)
        if self.open:
            self._probe_at = max(self._probe_at, now + (retry_after or 0.0))
            return False
        self._failing.add(frame)
        if not alone and len(self._failing) < (THROTTLED_THRESHOLD if throttled else THRESHOLD):
            return False
        self.trip(now, retry_after)
        return True

    def trip(self, now: float, retry_after: float | None) -> None:
        """Open it: from now on only probes."""
        self._failing_since = min(self._failing_since, now)
        self._probe_at = now + max(self._interval, retry_after or 0.0)

    def until_probe(self, now: float) -> float:
        """Seconds to the next probe; 0 or less: it is due."""
        return self._probe_at - now

    def probed(self, now: float) -> float:
        """A probe goes out now; the seconds until the one after it."""
        self._interval = min(LAST_PROBE, self._interval * 2)
        self._probe_at = now + self._interval
        return self._interval

    def spent(self, now: float) -> bool:
        """Whether the host has been failing for longer than the patience.

        Time that the host asked us to wait does not count, up to the longest wait in all.
        """
        since = max(self._failing_since, self._excused_until)
        return self.open and now - since >= self._patience

    def _excuse(self, now: float, retry_after: float | None) -> None:
        if retry_after is not None:
            longest = self._failing_since + self._longest_wait
            self._excused_until = max(self._excused_until, min(now + retry_after, longest))
