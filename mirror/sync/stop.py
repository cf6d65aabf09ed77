"""Stopping in stages: the first request drains, the second aborts.

Nothing here knows signals; `cli/` and `service/` bind them to `request`.
"""

from __future__ import annotations

import asyncio


class Stop:
    """A request to stop a run. Not thread-safe: use `loop.add_signal_handler`."""

    def __init__(self) -> None:
        self.cause = ""
        self._drain = asyncio.Event()
        self._abort = asyncio.Event()

    def __repr__(self) -> str:
        stage = "abort" if self.aborted else "drain" if self.requested else "run"
        return f"<Stop {stage} {self.cause!r}>"

    def request(self, cause: str) -> None:
        """First call: intake stops, what is in flight may finish. Second call: abort."""
        if self._drain.is_set():
            self._abort.set()
        else:
            self.cause = cause
            self._drain.set()

    @property
    def requested(self) -> bool:
        """Whether the run should end."""
        return self._drain.is_set()

    @property
    def aborted(self) -> bool:
        """Whether it should end without waiting for what is in flight."""
        return self._abort.is_set()

    async def wait(self) -> None:
        """Until the first request."""
        await self._drain.wait()

    async def wait_abort(self) -> None:
        """Until the second request."""
        await self._abort.wait()
