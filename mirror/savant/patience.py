"""Limits on waiting: as `asyncio.timeout` of one length, with one timer for all who wait.

A request is waited for several times, and nearly every wait is over in milliseconds: a timer for
each would cost more than the wait. All waits are of one length, so the first that began is the
first to end.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Patience:
    """`with patience.wait():` raises `TimeoutError` where the block takes longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waits: dict[_Wait, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Patience {self.seconds} s, {len(self._waits)} waiting>"

    def wait(self) -> _Wait:
        """A context that is entered at once, in a task."""
        return _Wait(self)

    def begin(self, wait: _Wait, loop: asyncio.AbstractEventLoop) -> None:
        """`wait` is the last to end of those that are under way."""
        self._waits[wait] = None
        if self._timer is None:
            self._timer = loop.call_at(wait.until, self._look, loop)

    def end(self, wait: _Wait) -> None:
        """`wait` is over. The timer stays: whoever begins next needs it."""
        self._waits.pop(wait, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._waits:
            first = next(iter(self._waits))
            if first.until > now:
                self._timer = loop.call_at(first.until, self._look, loop)
                return
            del self._waits[first]
            first.expire()


class _Wait:
    __slots__ = ("_cancelling", "_expired", "_patience", "_task", "until")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._expired = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("only a task can be made to stop waiting")
        self._task = task
        self._cancelling = task.cancelling()
        self.until = loop.time() + self._patience.seconds
        self._patience.begin(self, loop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._patience.end(self)
        if not self._expired:
            return
        # as `asyncio.timeout`: somebody else may have cancelled the task as well
        ours = self._task.uncancel() <= self._cancelling
        if ours and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def expire(self) -> None:
        """It took too long: the task is woken where it waits."""
        self._expired = True
        self._task.cancel()
