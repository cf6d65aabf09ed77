"""One process that was started to work on a shard: told its task, heard, stopped, ended.

How many there are, and what becomes of one that dies, is decided in `processes.py`; what it does,
in `child.py`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import mirror
from mirror.errors import InterruptedRunError
from mirror.events import Event
from mirror.shards import Shard
from mirror.sync.relay import STOP, Ended, Task, framed, hear, unpack

_START = """
import gc
import signal
import sys
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
gc.set_threshold(50_000)
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("mirror", {!r}, submodule_search_locations=[{!r}])
sys.modules["mirror"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["mirror"])
from mirror.sync.child import main
main()
"""
"""The very package that runs here, wherever it is, and no code from the current folder."""
LAST_WAIT = 10.0
"""Seconds that a process has to go once nothing is left to do."""


class Child:
    """A process that was started."""

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("both pipes are needed")
        self._process = process
        self._to, self._from = process.stdin, process.stdout
        self._stops = 0
        self._has_task = False

    @classmethod
    async def start(cls, shard: Shard) -> Child:
        """Raises `InterruptedRunError` where the machine has no room for it."""
        start = _START.format(mirror.__file__, str(Path(mirror.__file__).parent))
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", start), stdin=PIPE, stdout=PIPE
            )
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise InterruptedRunError(
                f"A process for shard {shard} could not be started: {why}. Make room, or ask for"
                " fewer --processes, and run again."
            ) from None
        return cls(process)

    async def work(self, task: Task, tell: Callable[[Event], None]) -> tuple[Ended | None, str]:
        """How it ended; None, and what killed it, where it said no last word."""
        self._say(framed(task) + framed(STOP) * self._stops)
        self._has_task = True
        while (said := await hear(self._from)) is not None:
            if isinstance(said, Ended):
                return said, ""
            for event in said.events:
                tell(unpack(event))
        code = await self._process.wait()
        return None, f"signal {-code}" if code < 0 else f"exit code {code}"

    def stop(self) -> None:
        """Ask it to stop; the second time, to do so at once."""
        self._stops += 1
        if self._has_task:  # which it hears first
            self._say(framed(STOP))

    def kill(self) -> None:
        """End it as it is: what it recorded is durable."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Let it go; what does not go by itself is killed."""
        self._to.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WAIT):
                await self._process.wait()
                return
        self.kill()
        await self._process.wait()

    def _say(self, message: bytes) -> None:
        if not self._to.is_closing():
            self._to.write(message)
