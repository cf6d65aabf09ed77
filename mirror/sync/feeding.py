"""What goes out next: due retries first, then fresh frames; while a host is paused, single probes.

Invariants: at most two pages of fresh frames are in memory; fresh frames stop while too many wait
for their retry; a retry goes out only when the retry budget has a token for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from mirror.errors import ServiceUnavailableError
from mirror.store import PendingFrame
from mirror.sync.delays import DelayQueue
from mirror.sync.hosts import Host
from mirror.sync.retry import RetryBudget, Work
from mirror.sync.stop import Stop

PAGE = 1024
"""Frames read from the ledger at once."""
MOST_DELAYED = 4 * PAGE
LOOK = 5.0
"""Seconds of a pause after which it is looked whether the patience is over."""

Page = tuple[list[PendingFrame], int | None]
LoadPage = Callable[[int], Awaitable[Page]]
"""Frames to fetch behind a row, and the row to go on from (None: that was the last page)."""


class Fresh:
    """Frames not tried yet in this run, page after page; the next page loads while one is used."""

    def __init__(self, load: LoadPage, wake: Callable[[], None]) -> None:
        self._load = load
        self._wake = wake
        self._ready: deque[PendingFrame] = deque()
        self._after: int | None = 0
        self._loading: asyncio.Task[Page] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left and nothing is on its way."""
        return not self._ready and self._after is None and self._loading is None

    def take(self) -> PendingFrame | None:
        """The next frame; None: not yet, or no more. Raises what loading a page raised."""
        self._turn_page()
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """No more pages."""
        if self._loading is not None:
            self._loading.cancel()

    def _turn_page(self) -> None:
        if self._loading is not None and self._loading.done():
            frames, self._after = self._loading.result()
            self._ready.extend(frames)
            self._loading = None
        if self._loading is None and self._after is not None and len(self._ready) < PAGE:
            self._loading = asyncio.ensure_future(self._load(self._after))
            self._loading.add_done_callback(lambda _: self._wake())


class Feeder:
    """Hands out work one piece at a time; one caller at a time."""

    def __init__(
        self,
        fresh: Fresh,
        delays: DelayQueue,
        budget: RetryBudget,
        hosts: tuple[Host, Host],
        wake: asyncio.Event,
        stop: Stop,
    ) -> None:
        self._fresh = fresh
        self._delays = delays
        self._budget = budget
        self._hosts = hosts
        self._wake = wake
        self._stop = stop

    async def next(self, idle: Callable[[], bool]) -> Work | None:
        """The next work; None when there is nothing more and `idle()` says nothing can come back.

        None too once the run is to stop. Raises `ServiceUnavailableError` when a host has been
        away for too long.
        """
        while not self._stop.requested:
            self._wake.clear()
            now = asyncio.get_running_loop().time()
            pause = self._pause(now)
            if pause <= 0 and (work := self._due(now) or self._first()):
                return work
            if self._fresh.exhausted and not self._delays and idle():
                return None
            await self._sleep(now, pause)
        return None

    def _pause(self, now: float) -> float:
        """Seconds until something may go out; 0 or less: now."""
        for host in self._hosts:
            host.check()
        if self._budget.spent(now):
            raise ServiceUnavailableError(
                "The platform sends nothing usable any more, and the retry budget is spent. What is"
                " mirrored so far is safe; running the same command again resumes."
            )
        paused = [host.breaker.until_probe(now) for host in self._hosts if host.breaker.open]
        return max(paused, default=0.0)

    def _due(self, now: float) -> Work | None:
        due = self._delays.next_due()
        if due is None or due > now:
            return None
        probing = self._probing()
        if self._delays.first().retry and not probing and not self._budget.take(now):
            return None
        work = self._delays.pop()
        if work.retry and not probing:
            work.borrowed += 1
        return self._sent(work, probing=probing)

    def _first(self) -> Work | None:
        if len(self._delays) >= MOST_DELAYED:
            return None
        frame = self._fresh.take()
        return self._sent(Work(frame), probing=self._probing()) if frame else None

    def _probing(self) -> bool:
        return any(host.breaker.open for host in self._hosts)

    def _sent(self, work: Work, *, probing: bool) -> Work:
        work.retry = False
        work.probe = probing
        work.since = work.since or asyncio.get_running_loop().time()
        for host in self._hosts:
            if host.breaker.open:
                host.probed()
        return work

    async def _sleep(self, now: float, pause: float) -> None:
        """Until something changed, at the latest when a delay or a pause ends."""
        due = self._delays.next_due()
        waits = [min(pause, LOOK)] if pause > 0 else []
        if due is not None:
            # a due retry that found no token looks again soon
            waits.append(max(due - now, pause, 0.05))
        try:
            async with asyncio.timeout(min(waits, default=None)):
                await self._wake.wait()
        except TimeoutError:
            return
