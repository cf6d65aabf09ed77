"""Waiting for one's turn: callers go through in order, never more at once than the limit allows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from mirror.sync.limits import AdaptiveLimit, Turn


class Gate:
    """Lets requests through while fewer than the limit are in flight; first come, first served."""

    def __init__(
        self, limit: AdaptiveLimit, moved: Callable[[int], None], clock: Callable[[], float]
    ) -> None:
        self.limit = limit
        self.in_flight = 0
        self._moved = moved
        self._clock = clock
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Gate {self.in_flight} in flight, {len(self._waiters)} waiting, {self.limit!r}>"

    async def enter(self) -> Turn:
        """Wait for a place; the turn to hand to `leave`. Cancelling gives the place back."""
        if self.in_flight < self.limit.value and not self._waiters:
            self.in_flight += 1
            return Turn(self.limit.epoch, self.in_flight, self._clock())
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.in_flight -= 1  # the place was already ours
            self._admit()
            raise
        return Turn(self.limit.epoch, self.in_flight, self._clock())

    def leave(self, turn: Turn, *, overload: bool, answered: bool) -> None:
        """Give the place back. `answered`: the host did what it was asked, or said clearly no."""
        before = self.limit.value
        now = self._clock()
        if overload:
            self.limit.overloaded(turn, now)
        elif answered:
            self.limit.succeeded(turn, self.in_flight, now)
        self.in_flight -= 1
        if self.limit.value != before:
            self._moved(self.limit.value)
        self._admit()

    def lower(self) -> None:
        """Let fewer through, for a reason that lies outside the requests."""
        before = self.limit.value
        self.limit.lower()
        if self.limit.value != before:
            self._moved(self.limit.value)

    def _admit(self) -> None:
        while self._waiters and self.in_flight < self.limit.value:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self.in_flight += 1
