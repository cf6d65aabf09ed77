"""How many requests of a hop may be in flight, and waiting for one's turn.

`AdaptiveLimit` decides: additive increase, multiplicative decrease, no clock and no I/O. `Gate`
acts: it lets callers through in order, never more than the limit. Latency alone lowers nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

START = 16
DECREASE = 0.7


class AdaptiveLimit:
    """The limit of one host, between 1 and `ceiling`.

    It doubles each round until the host first asks for less, then grows by one a round. Requests
    carry the `epoch` in which they started, so one burst of refusals lowers the limit once.
    """

    def __init__(self, ceiling: int, start: int = START) -> None:
        self.ceiling = ceiling
        self.epoch = 0
        self._value = float(min(start, ceiling))
        self._probing = True

    def __repr__(self) -> str:
        return f"<AdaptiveLimit {self.value}/{self.ceiling} epoch {self.epoch}>"

    @property
    def value(self) -> int:
        """Requests that may be in flight."""
        return int(self._value)

    def succeeded(self, in_flight: int) -> None:
        """A request ended well while `in_flight` were under way; an unused limit does not grow."""
        if in_flight * 2 < self._value:
            return
        step = 1.0 if self._probing else 1.0 / self._value
        self._value = min(float(self.ceiling), self._value + step)

    def overloaded(self, epoch: int) -> None:
        """A request that started in `epoch` was refused for load, or timed out."""
        if epoch != self.epoch:
            return
        self.epoch += 1
        self._probing = False
        self._value = max(1.0, self._value * DECREASE)


class Gate:
    """Lets requests through while fewer than the limit are in flight; first come, first served."""

    def __init__(self, limit: AdaptiveLimit, moved: Callable[[int], None]) -> None:
        self.limit = limit
        self.in_flight = 0
        self._moved = moved
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Gate {self.in_flight} in flight, {len(self._waiters)} waiting, {self.limit!r}>"

    async def enter(self) -> int:
        """Wait for a place; the epoch to hand to `leave`. Cancelling gives the place back."""
        if self.in_flight < self.limit.value and not self._waiters:
            self.in_flight += 1
            return self.limit.epoch
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.in_flight -= 1  # the place was already ours
            self._admit()
            raise
        return self.limit.epoch

    def leave(self, epoch: int, *, overload: bool, answered: bool) -> None:
        """Give the place back. `answered`: the host did what it was asked, or said clearly no."""
        before = self.limit.value
        if overload:
            self.limit.overloaded(epoch)
        elif answered:
            self.limit.succeeded(self.in_flight)
        self.in_flight -= 1
        if self.limit.value != before:
            self._moved(self.limit.value)
        self._admit()

    def lower(self) -> None:
        """Let fewer through, for a reason that lies outside the requests."""
        before = self.limit.value
        self.limit.overloaded(self.limit.epoch)
        if self.limit.value != before:
            self._moved(self.limit.value)

    def _admit(self) -> None:
        while self._waiters and self.in_flight < self.limit.value:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self.in_flight += 1
