"""A process of a run that has several: it fetches what its shard's ledger asks for.

It is started by `processes.py`, which has it ignore a terminal's signals, and hears from nobody
else. When the parent is gone it commits what has arrived, and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from mirror.errors import ExitCode, MirrorError
from mirror.events import Event, Events, GroupCommitted
from mirror.observe.logs import configure_logging
from mirror.settings import Settings
from mirror.shards import Shard
from mirror.store import Destination, Layout
from mirror.sync.held import HeldRun
from mirror.sync.interpreter import settle
from mirror.sync.relay import Ended, Task, Told, decode_task, framed, pack, receive
from mirror.sync.report import ExportEntry, RunReport
from mirror.sync.saving import Disk
from mirror.sync.stop import Stop

TELL_EVERY = 0.1
"""Seconds for which events are gathered into one message."""


class _Voice:
    """A listener that tells the parent, on the file `said`."""

    def __init__(self, said: int) -> None:
        self._said = said
        self._events: list[list[object]] = []

    def __call__(self, event: Event) -> None:
        packed = pack(event)
        if packed is not None:
            self._events.append(packed)
        if isinstance(event, GroupCommitted):  # what is recorded counts, whatever comes next
            self.tell()

    async def tell_now_and_then(self) -> None:
        """For as long as the process works."""
        while True:
            await asyncio.sleep(TELL_EVERY)
            self.tell()

    def tell(self) -> None:
        """What has gathered. Waits while the parent is behind; says nothing when it is gone."""
        if self._events:
            events, self._events = self._events, []
            self._say(framed(Told(events)))

    def end(self, ended: Ended) -> None:
        """The last word."""
        self.tell()
        self._say(framed(ended))

    def _say(self, message: bytes) -> None:
        with suppress(BrokenPipeError):  # `_listen` hears that it is gone
            while message:
                message = message[os.write(self._said, message) :]


def main() -> None:
    """Work for whoever is at the other end of standard input and output."""
    said = os.dup(1)
    os.dup2(2, 1)  # whatever prints does not get between the messages
    settle()
    asyncio.run(_work(_Voice(said)))


async def _work(voice: _Voice) -> None:
    heard = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(heard), sys.stdin)
    message = await receive(heard)
    if message is None:
        return
    stop = Stop()
    beside = [asyncio.ensure_future(_listen(heard, stop))]
    beside.append(asyncio.ensure_future(voice.tell_now_and_then()))
    voice.end(await _fetch(decode_task(message), Events(voice), stop))
    for each in beside:
        each.cancel()


async def _listen(heard: asyncio.StreamReader, stop: Stop) -> None:
    while await receive(heard) is not None:
        stop.request("the run")
    stop.request("the end of the run's first process")
    stop.request("the end of the run's first process")


async def _fetch(task: Task, events: Events, stop: Stop) -> Ended:
    settings = Settings(**task.settings)
    configure_logging(settings.log_level, settings.log_format)
    try:
        report = await _run(task, settings, events, stop)
    except MirrorError as error:
        return Ended(int(error.exit_code), str(error))
    except Exception as error:  # noqa: BLE001 - the parent must hear of it
        if settings.log_level == "debug":
            traceback.print_exc()
        # the message of a foreign error may hold a URL
        return Ended(int(ExitCode.INTERNAL), f"Internal error ({type(error).__name__}).")
    return Ended(report.exit_code, report.error)


async def _run(task: Task, settings: Settings, events: Events, stop: Stop) -> RunReport:
    async def plan(disk: Disk) -> list[ExportEntry]:
        # what a process before it, which died, told as mirrored or failed, is told
        await disk.commit(disk.ledger.ask_unsettled)
        return []

    layout = Layout(settings.path_template, settings.file_mode, settings.dir_mode)
    shard = Shard(task.index, task.count)
    with Destination.open_part(Path(task.root), layout, shard) as part:
        return await HeldRun(plan, settings, events, stop, part).go(task.root)
