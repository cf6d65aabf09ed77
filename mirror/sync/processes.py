"""A run with several processes: each fetches a shard of what is asked for, into its own ledger.

The first process holds the destination and its ledger; the others are its children. It hands out
the shares, tells their events as its own, passes a stop on, starts a child that died once more, and
folds their ledgers in when all have ended, whatever ended them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mirror.errors import (
    ConfigurationError,
    CredentialsError,
    DestinationError,
    InterruptedRunError,
    MirrorError,
    RunError,
    ServiceUnavailableError,
)
from mirror.events import (
    Event,
    Events,
    Hop,
    HostPaused,
    HostResumed,
    LimitChanged,
    ProcessDied,
    RequestFinished,
    RequestStarted,
    ShardsFolded,
    Stopping,
)
from mirror.settings import Settings
from mirror.shards import Shard
from mirror.sync.children import Child
from mirror.sync.relay import Ended, Task
from mirror.sync.saving import Disk
from mirror.sync.stop import Stop
from mirror.sync.tasks import together

_ERRORS: tuple[type[RunError], ...] = (
    CredentialsError,
    ConfigurationError,
    DestinationError,
    ServiceUnavailableError,
    InterruptedRunError,
)
"""What may end a process; of several, the first in this order ends the run."""


async def fold_shards(disk: Disk, events: Events) -> None:
    """Take in what the ledgers of shards say, and tell of it."""
    folded = await disk.commit(disk.ledger.fold_shards)
    if folded.shards or folded.damaged:
        events.emit(ShardsFolded(folded.shards, folded.mirrored, folded.failed, folded.damaged))


class Processes:
    """Fetches what was asked for and is not mirrored, in several processes. Used once."""

    def __init__(self, settings: Settings, events: Events, stop: Stop, root: Path) -> None:
        self._count = min(settings.processes, settings.concurrency)  # each needs a request
        self._settings = _shared(settings, self._count)
        self._events = events
        self._stop = stop
        self._root = root
        self._grace = settings.grace_period
        self._tellers = [_Teller(events, self._limit) for _ in range(self._count)]
        self._children: set[Child] = set()
        self._stopped = 0

    def __repr__(self) -> str:
        return f"<Processes {len(self._children)} of {self._count}>"

    async def run(self, disk: Disk) -> None:
        """Until all have ended and their ledgers are folded. Raises `MirrorError`."""
        passing = asyncio.ensure_future(self._pass_stop_on())
        ended: list[asyncio.Task[Ended | None]] = []
        try:
            async with together() as tasks:
                ended = [
                    tasks.create_task(self._see_through(Shard(index, self._count), disk))
                    for index in range(self._count)
                ]
        finally:
            passing.cancel()
            await fold_shards(disk, self._events)
        asked = InterruptedRunError.exit_code if self._stop.requested else None
        _raise_worst(each for task in ended if (each := task.result()) and each.exit_code != asked)

    async def _see_through(self, shard: Shard, disk: Disk) -> Ended | None:
        """One shard to its end; None where nothing was its to do."""
        child = await self._start(shard)  # it loads its code while its share is handed out
        try:
            if not await disk.commit(disk.ledger.hand_out, shard):
                return None
            for again in (True, False):
                ended, cause = await child.work(self._task(shard), self._tellers[shard.index])
                if ended is not None:
                    return ended
                self._tellers[shard.index].lost()
                once_more = again and not self._stop.requested
                self._events.emit(ProcessDied(shard.index, cause, once_more))
                if not once_more:
                    break
                await self._end(child)
                child = await self._start(shard)
        finally:
            self._tellers[shard.index].limits.clear()
            await self._end(child)
        return Ended(
            int(InterruptedRunError.exit_code),
            f"A process of this run died ({cause}); what it had recorded is safe. Running the same"
            " command again resumes.",
        )

    async def _start(self, shard: Shard) -> Child:
        child = await Child.start(shard)
        self._children.add(child)
        for _ in range(self._stopped):
            child.stop()
        return child

    async def _end(self, child: Child) -> None:
        self._children.discard(child)
        await child.end()

    def _task(self, shard: Shard) -> Task:
        return Task(str(self._root), shard.index, shard.count, self._settings)

    async def _pass_stop_on(self) -> None:
        await self._stop.wait()
        self._events.emit(Stopping(self._stop.cause, self._grace))
        self._stop_all()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                await self._stop.wait_abort()
        self._stop_all()
        await asyncio.sleep(COMMITTING)
        for child in self._children:
            child.kill()

    def _stop_all(self) -> None:
        self._stopped += 1  # those that begin later are told, too
        for child in self._children:
            child.stop()

    def _limit(self, hop: Hop) -> int:
        return sum(teller.limits.get(hop, 0) for teller in self._tellers)


class _Teller:
    """Tells the events of one child as those of the run: limits add up, and what was in flight
    when it died has ended, as have its pauses."""

    def __init__(self, events: Events, limit: Callable[[Hop], int]) -> None:
        self.limits: dict[Hop, int] = {}
        self._events = events
        self._limit = limit
        self._in_flight: dict[Hop, int] = {}
        self._paused: set[Hop] = set()

    def __call__(self, event: Event) -> None:
        match event:
            case RequestStarted(hop=hop):
                self._in_flight[hop] = self._in_flight.get(hop, 0) + 1
            case RequestFinished(hop=hop):
                self._in_flight[hop] -= 1
            case LimitChanged(hop=hop, limit=limit):
                self.limits[hop] = limit
                event = LimitChanged(hop, self._limit(hop))
            case HostPaused(hop=hop):
                self._paused.add(hop)
            case HostResumed(hop=hop):
                self._paused.discard(hop)
        self._events.emit(event)

    def lost(self) -> None:
        """The child is gone."""
        for hop, count in self._in_flight.items():
            for _ in range(count):
                self._events.emit(RequestFinished(hop, "error", 0.0))
        self._in_flight.clear()
        for hop in self._paused:
            self._events.emit(HostResumed(hop))
        self._paused.clear()


COMMITTING = 30.0
"""Seconds that a process which has to stop at once may take to record what has arrived."""


def _shared(settings: Settings, count: int) -> dict[str, Any]:
    """The settings of one process of `count`, as a message has them: its share of what is bounded
    for the run, and the account with its password."""
    username, password = settings.credentials()
    share: dict[str, Any] = {
        "processes": 1,
        "concurrency": max(1, settings.concurrency // count),
        "body_memory": max(1024**2, settings.body_memory // count),
        "max_rate": settings.max_rate and max(1, settings.max_rate // count),
        "username": username,
        "password": password.get_secret_value(),
        "password_file": None,
        "http_token": None,
        "http_host": "127.0.0.1",
        "metrics_port": None,
        "write_checksums": False,
        "ca_bundle": settings.ca_bundle and str(settings.ca_bundle.absolute()),
    }
    return settings.model_dump(exclude=set(share)) | share


def _raise_worst(ended: Iterable[Ended]) -> None:
    """What ended a process ends the run: the most telling of them."""
    errors = {each.exit_code: each.error for each in ended if each.error is not None}
    for kind in _ERRORS:
        if (error := errors.pop(int(kind.exit_code), None)) is not None:
            raise kind(error)
    for error in errors.values():
        raise MirrorError(error)
